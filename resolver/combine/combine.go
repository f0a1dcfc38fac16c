// Package combine adds up what several lists say about one subject, so that no
// single list's word is enough and none is needed.
//
//	plan, err := combine.Parse(map[string]int{
//		"zen.spamhaus.org":                        4,
//		"zen.spamhaus.org=127.0.0.10-127.0.0.11":  1,
//		"list.dnswl.org":                          -3,
//	}, 4)
//	verdict := plan.Decide(answers) // one for each of plan.Members()
//
// It decides the sum, whether that is a listing, and whether it can still
// change. Each code of an answer counts by the most specific weight that covers
// it: the smaller set of codes beats the larger, and any set beats the zone's
// own weight. A weight counts once, however many codes it covers. A member that
// failed counts what is best for the sender: nothing, or all of its negative
// weights. So does the lower bound of a member that has not answered yet; the
// verdict is known as soon as both bounds lie on one side of the threshold.
//
// The package is pure arithmetic: it asks nobody, keeps no time, and knows
// neither exemptions nor which codes are a listing. The caller hands in, per
// member, the codes that still count after those.
package combine

import (
	"fmt"
	"strings"

	"dnsblproxy/resolver/rbl"
)

// Part is one weight that counts in a verdict.
type Part struct {
	Zone   string     // the member
	Codes  []rbl.Code // that made it count; empty for a failure
	Weight int
	Failed bool // the member failed and Weight is its most lenient value
}

// Verdict is what the answers so far amount to.
type Verdict struct {
	Known     bool // no outstanding answer can change Listed
	Listed    bool // Sum, or when Known is due to the bounds Min, reaches the threshold
	Sum       int  // of what is answered and failed
	Min, Max  int  // what Sum can still become
	Threshold int
	Doubtful  bool   // not Listed, but might be, had those that failed answered
	Parts     []Part // in the order of Members; weights of 0 are left out
}

// Plan is a parsed set of weights; immutable.
type Plan struct {
	members   []member
	threshold int // the least sum that is a listing
}

// member is one list with its weights, the most specific first.
type member struct {
	zone     string
	weights  []weight
	min, max int // what it can add, any number of codes
}

// Members returns the zones that are to be asked, lower case without the final
// dot, sorted. Answers are handed to Decide in this order.
func (p *Plan) Members() []string {
	zones := make([]string, len(p.members))
	for i, m := range p.members {
		zones[i] = m.zone
	}
	return zones
}

// Decide adds up. It needs one answer per member, in the order of Members.
func (p *Plan) Decide(answers []rbl.Answer) Verdict {
	v := Verdict{Threshold: p.threshold}
	var outMin, outMax, lost int
	for i := range p.members {
		m := &p.members[i]
		switch answers[i].Phase {
		case rbl.Outstanding:
			outMin, outMax = outMin+m.min, outMax+m.max
		case rbl.Failed:
			lost += m.max - m.min
			if v.Sum += m.min; m.min != 0 {
				v.Parts = append(v.Parts, Part{Zone: m.zone, Weight: m.min, Failed: true})
			}
		case rbl.Answered:
			before := len(v.Parts)
			v.Parts = m.count(v.Parts, answers[i].Codes)
			for _, part := range v.Parts[before:] {
				v.Sum += part.Weight
			}
		}
	}
	v.Min, v.Max = v.Sum+outMin, v.Sum+outMax
	v.Listed = v.Min >= p.threshold
	v.Known = v.Listed || v.Max < p.threshold
	v.Doubtful = !v.Listed && v.Max+lost >= p.threshold
	return v
}

// count appends the weights that an answer makes count, each once.
func (m *member) count(parts []Part, codes []rbl.Code) []Part {
	for i := range m.weights {
		w := &m.weights[i]
		var hit []rbl.Code
		for _, c := range codes {
			if m.find(c) == w {
				hit = append(hit, c)
			}
		}
		if len(hit) > 0 && w.value != 0 {
			parts = append(parts, Part{Zone: m.zone, Codes: hit, Weight: w.value})
		}
	}
	return parts
}

// find returns the most specific weight for a code, nil without one.
func (m *member) find(c rbl.Code) *weight {
	for i := range m.weights {
		if w := &m.weights[i]; w.all || w.codes.Contains(c) {
			return w
		}
	}
	return nil
}

// maxText is how long one string of a TXT record can be, in bytes
// (RFC 1035, section 3.3.14).
const maxText = 255

// Text says in words how the sum came about, naming each list, code and
// weight. It fits one string of a TXT record: parts too many are left out.
func (v *Verdict) Text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "score %d of %d", v.Sum, v.Threshold)
	sep, zone := ": ", ""
	for i, part := range v.Parts {
		var one strings.Builder
		one.WriteString(sep)
		if part.Zone != zone {
			one.WriteString(part.Zone + " ")
		}
		for _, c := range part.Codes {
			one.WriteString(c.String() + " ")
		}
		if part.Failed {
			one.WriteString("failed ")
		}
		fmt.Fprintf(&one, "(%+d)", part.Weight)
		const more = ", ..."
		room := maxText - len(more)
		if i == len(v.Parts)-1 {
			room = maxText
		}
		if s.Len()+one.Len() > room {
			s.WriteString(more)
			break
		}
		s.WriteString(one.String())
		sep, zone = ", ", part.Zone
	}
	return s.String()
}
