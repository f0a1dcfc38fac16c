package resolver

import (
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Verdict is what was decided about a question.
type Verdict uint8

const (
	Unlisted  Verdict = iota // the list does not have it, or nothing of it counts
	Listed                   // the list has it
	Exempt                   // an allow rule matched
	Denied                   // a deny rule matched
	Failed                   // the list could not be asked, or may not be believed
	Refused                  // the client may not ask, or may not ask this; or the question is malformed
	Forwarded                // the name is in no zone

	verdicts = iota
)

// String returns the word of the metric and of the command line: "unlisted",
// "listed", "exempt", "denied", "failed", "refused" or "forwarded".
func (v Verdict) String() string {
	return [verdicts]string{"unlisted", "listed", "exempt", "denied", "failed", "refused", "forwarded"}[v]
}

// form is the kind of answer that a decision makes.
type form uint8

const (
	formNXDomain form = iota // with the list's SOA if data holds one, else ours
	formNoData               // likewise
	formData                 // the records of data, less the codes that go
	formWhole                // the records of data, all of them answers, as they are
	formAny                  // in brief: RFC 8482
	formOwn                  // a listing of our own: code and text
	formServFail
)

// decision is what decide returns. It is a value, so that a hit allocates
// nothing.
type decision struct {
	verdict Verdict
	form    form
	lacking bool // facts are missing; nothing else in here counts
	stale   bool
	exempt  bool // removable codes of data go
	removed bool // an exemption took a code that the list gave
	vain    bool // Failed, and to try again cannot help
	kept    bool // observe: the verdict is counted and not given; data and code are what it would be

	data  packed // of the list; "" without
	codes packed // of the list too, where data is not what it lists with
	ttl   uint32
	hit   overrides.Hit // the rule of Exempt and Denied

	code rbl.Code // of formOwn
	text string   // likewise

	doubtful bool   // a sum of lists that is Unlisted, but might not be, had all been heard
	ede      uint16 // RFC 8914, section 4
	reason   string // its text, or more of it
}

// Info-codes of RFC 8914, section 4.
const (
	edeStale         = 3
	edeFiltered      = 17
	edeStaleNXDomain = 19
	edeUnreachable   = 22 // nobody answered, may be asked, or serves us
	edeNetwork       = 23 // the answer is a failure
)

// ownTTL is the life of answers that no list gave, in seconds. Postfix's
// postscreen caches nothing for less (postscreen_dnsbl_min_ttl).
const ownTTL = 60

// staleTTL is the TTL of an answer past its own. RFC 8767, section 4.
const staleTTL = 30

// decide returns the answer to q from the facts at hand. When they do not
// suffice it says so, after naming what it lacks to f, and is called again
// once that is there. It changes nothing but f.
//
// The order, first match wins; "step" is what Explain prints:
//
//	1  the client may not ask: REFUSED           (Respond)
//	2  no zone: forwarded or REFUSED             (Respond)
//	3  the zone is off: unlisted
//	4  a test entry of RFC 5782: the list's own answer
//	5  exempt, and nothing is beyond exemptions: unlisted
//	6  denied and not exempt: listed
//	7  the list's answer, less what is no listing, less what an exemption removes
//	8  the list, or who may exempt, could not be asked: unlisted if exempt, else
//	   as on_failure says
//
// Observe mode comes last: what was decided is counted, the answer is unlisted.
func decide(q *question, f *facts) decision {
	if q.bare {
		return f.bare(q)
	}
	d := judge(q, f)
	if q.zone.Mode == Observe && d.verdict != Unlisted && q.subject.Shape != rbl.Apex && q.subject.Test == rbl.NotTest {
		f.step(0, "the zone only observes: decided ", d.verdict.String(), ", answered unlisted")
		d.form, d.ttl, d.kept = formNXDomain, ownTTL, true
		if d.verdict == Listed {
			d.ede = 0 // it spoke of the listing
		}
	}
	return d
}

func judge(q *question, f *facts) decision {
	z := q.zone
	switch {
	case q.subject.Shape == rbl.Apex:
		return f.apex(q)
	case q.subject.Shape == rbl.Partial:
		f.step(0, "an incomplete reversed address exists and owns nothing")
		return decision{form: formNoData, ttl: ownTTL}
	case z.Mode == Off:
		f.step(3, "the zone is off")
		return decision{ttl: ownTTL}
	case !z.Holds.Has(q.subject.Shape):
		f.step(0, "the list holds no such names: ", q.subject.Shape.String())
		return decision{ttl: ownTTL}
	case q.subject.Test != rbl.NotTest:
		return f.test(q)
	}

	set := f.match(q)
	hit, exempt := overrides.Hit{}, false
	if !z.Allow && !set.Empty() {
		hit, exempt = set.Allow(z.Name, f.now)
	}
	if !z.Allow && !exempt && f.above.Rule != nil {
		hit, exempt = f.above, true
	}
	if exempt && z.NoOverride.Empty() && z.Source != SourceCombined {
		f.step(5, "exempt by ", hit.Rule.Name, " (", hit.Source.String(), ")")
		return exempted(hit)
	}
	if !exempt && !set.Empty() {
		if deny, denied := set.Deny(z.Name, f.now); denied {
			f.step(6, "denied by ", deny.Rule.Name, " (", deny.Source.String(), ")")
			return decision{verdict: Denied, form: formOwn, hit: deny, code: rbl.CodeFromAddr(deny.Rule.Code), text: deny.Rule.Text, ttl: ownTTL}
		}
	}
	switch z.Source {
	case SourceDeny:
		f.step(7, "no deny rule matches")
		return decision{ttl: ownTTL}
	case SourceAllow:
		return f.published(q, set)
	case SourceCombined:
		return f.combined(q, set, hit, exempt)
	}
	return f.own(q, set, hit, exempt)
}

// bare is the list's own answer, for those who want to know what it says and
// not what becomes of it.
func (f *facts) bare(q *question) decision {
	z := q.zone
	if !z.asks() && z.File == nil || z.Mode == Off || !z.Holds.Has(q.subject.Shape) {
		d := judge(q, f)
		if d.doubtful {
			d.verdict = Failed
		}
		return d
	}
	a := f.answer(q, wire.TypeA)
	switch a.state {
	case missing:
		return decision{lacking: true}
	case failing:
		return decision{verdict: Failed, reason: a.why.text}
	}
	if removable, fixed := z.listing(a.data); !removable && !fixed {
		return decision{data: a.data, ttl: a.ttl}.aged(a)
	}
	d := decision{verdict: Listed, form: formData, data: a.data, ttl: a.ttl}
	if q.typ != wire.TypeA {
		return f.other(q, d, a)
	}
	return d.aged(a)
}

// exempted is the answer for what an allow rule speaks for.
func exempted(hit overrides.Hit) decision {
	return decision{verdict: Exempt, hit: hit, exempt: true, ttl: ownTTL, ede: edeFiltered}
}

// own is steps 7 and 8 for a zone that has answers of its own.
func (f *facts) own(q *question, set overrides.Set, hit overrides.Hit, exempt bool) decision {
	z := q.zone
	a := f.answer(q, wire.TypeA)
	switch a.state {
	case missing:
		return decision{lacking: true}
	case failing:
		return f.failed(q, a, hit, exempt)
	}
	if a.shared {
		f.step(7, "another proxy has asked the list already")
	}
	removable, fixed := z.listing(a.data)
	d := decision{data: a.data, ttl: a.ttl, exempt: exempt, hit: hit}
	if !removable && !fixed {
		f.unlisted(z, a.data)
		d.form, d.verdict = unlistedForm(q, a.data), Unlisted
		if exempt {
			f.step(7, "exempt by ", hit.Rule.Name, " (", hit.Source.String(), ")")
			d.verdict, d.ede = Exempt, edeFiltered
		}
		if z.File != nil && d.form == formNoData && !exempt && q.typ != wire.TypeA && q.typ != wire.TypeANY {
			return f.other(q, d, a) // a generic data set may hold other records of it
		}
		return d.aged(a)
	}
	var said live
	if removable && !exempt && !z.Allow {
		switch d.hit, said = f.live(q, set); {
		case said == asking:
			return decision{lacking: true}
		case said == unheard && !fixed:
			return f.inDoubt(q)
		}
		d.exempt = said == passes
	}
	f.step(7, "the list has it: ", f.codes(z, a.data))
	d.removed = d.exempt && removable
	if d.exempt && !fixed {
		f.step(7, "exempt by ", d.hit.Rule.Name, " (", d.hit.Source.String(), ")")
		e := exempted(d.hit)
		e.removed, e.data = true, a.data
		return e
	}
	switch {
	case d.removed:
		f.step(7, d.hit.Rule.Name, " (", d.hit.Source.String(), ") removes what it may; the rest is beyond exemptions")
	case d.exempt:
		f.step(7, d.hit.Rule.Name, " (", d.hit.Source.String(), ") exempts it, but no_override puts the codes beyond exemptions")
	}
	d.verdict, d.form = Listed, formData
	if q.typ != wire.TypeA {
		d = f.other(q, d, a)
	} else {
		d = d.aged(a)
	}
	if said == unsure && !fixed {
		return d.unsure()
	}
	return d
}

// unlistedForm is NXDOMAIN, but for a domain of which the list says NODATA:
// names below it may exist, and an NXDOMAIN would deny them (RFC 8020).
func unlistedForm(q *question, data packed) form {
	if q.subject.Shape == rbl.Domain && data.rcode() == wire.RcodeSuccess && !data.has() {
		return formNoData
	}
	return formNXDomain
}

// aged says of an answer that stands in past its TTL that it does. RFC 8767,
// section 4, and RFC 8914, sections 4.4 and 4.20.
func (d decision) aged(a listAnswer) decision {
	if a.state != stale {
		return d
	}
	d.stale, d.ttl = true, staleTTL
	d.ede, d.reason = edeStale, a.why.text
	if d.form == formNXDomain {
		d.ede = edeStaleNXDomain
	}
	return d
}

// other answers a question of another type than A for a listed subject.
func (f *facts) other(q *question, d decision, a listAnswer) decision {
	if q.typ == wire.TypeANY {
		d.form = formAny
		return d.aged(a)
	}
	b := f.answer(q, q.typ)
	d.codes = d.data
	switch b.state {
	case missing:
		return decision{lacking: true}
	case failing:
		// It is listed; that much is known. Only the text is not.
		d.form, d.data, d.ttl = formNoData, "", staleTTL
		d.ede, d.reason = b.why.ede, b.why.text
		return d
	}
	d.data, d.ttl, d.form = b.data, b.ttl, formWhole
	if !b.data.has() {
		d.form = formNoData
	}
	return d.aged(b)
}

// failed is step 8. Nothing that a list fails to say is a listing.
func (f *facts) failed(q *question, a listAnswer, hit overrides.Hit, exempt bool) decision {
	if exempt {
		f.step(8, "the list cannot be asked (", a.why.text, "); exempt by ", hit.Rule.Name)
		return exempted(hit)
	}
	d := decision{verdict: Failed, ttl: staleTTL, ede: a.why.ede, reason: a.why.text}
	d.vain = a.why.vain || q.zone.Source == SourceRDNS
	return f.onFailure(q, d, "the list cannot")
}

// onFailure is d, a failure, as the zone's on_failure says.
func (f *facts) onFailure(q *question, d decision, who string) decision {
	if q.zone.ServfailOnFailure && !d.vain {
		d.form = formServFail
		f.step(8, who, " be asked (", d.reason, "): SERVFAIL")
		return d
	}
	f.step(8, who, " be asked (", d.reason, "): unlisted")
	return d
}

// test is step 4: the list's own answer, so that tests of it stay true. A
// zone without a list answers as RFC 5782, section 5 wants.
func (f *facts) test(q *question) decision {
	if q.zone.Source == SourceUpstream || q.zone.File != nil && f.fromFile(q, wire.TypeA).data.has() {
		f.step(4, "a test entry: the list's own answer")
		a := f.answer(q, wire.TypeA)
		switch {
		case a.state == missing:
			return decision{lacking: true}
		case a.state == failing:
			return f.failed(q, a, overrides.Hit{}, false)
		case !a.data.has():
			return decision{data: a.data, ttl: a.ttl, form: unlistedForm(q, a.data)}.aged(a)
		}
		d := decision{verdict: Listed, data: a.data, ttl: a.ttl, form: formWhole}
		if q.typ != wire.TypeA {
			return f.other(q, d, a)
		}
		return d.aged(a)
	}
	if q.subject.Test == rbl.TestListed {
		f.step(4, "a test entry that every list has")
		return decision{verdict: Listed, form: formOwn, code: rbl.CodeListed, text: "RFC 5782 test entry", ttl: ownTTL}
	}
	f.step(4, "a test entry that no list has")
	return decision{ttl: ownTTL}
}

// published answers for a zone that shows the allow rules as a DNSWL.
func (f *facts) published(q *question, set overrides.Set) decision {
	hit, ok := set.Allow(q.zone.Name, f.now)
	if !ok {
		f.step(7, "no allow rule matches")
		return decision{ttl: ownTTL}
	}
	f.step(7, "allowed by ", hit.Rule.Name, " (", hit.Source.String(), ")")
	return decision{verdict: Listed, form: formOwn, hit: hit, code: rbl.CodeListed, text: "allowed by " + hit.Rule.Name, ttl: ownTTL}
}

// apex answers for the zone's own name.
func (f *facts) apex(q *question) decision {
	if q.zone.Source != SourceUpstream && q.zone.Source != SourceFile || q.zone.Mode == Off {
		f.step(0, "the zone's own name")
		return decision{form: formNoData, ttl: ownTTL}
	}
	if q.typ == wire.TypeANY {
		f.step(0, "the zone's own name, asked for everything: in brief")
		return decision{form: formAny, ttl: ownTTL}
	}
	f.step(0, "the zone's own name: the list's own answer")
	a := f.answer(q, q.typ)
	switch a.state {
	case missing:
		return decision{lacking: true}
	case failing:
		d := decision{verdict: Failed, form: formServFail, ttl: staleTTL, ede: a.why.ede, reason: a.why.text}
		if a.why.vain {
			d.form = formNoData
		}
		return d
	}
	d := decision{data: a.data, ttl: a.ttl, form: formWhole}
	if !a.data.has() {
		d.form = formNoData
	}
	return d.aged(a)
}
