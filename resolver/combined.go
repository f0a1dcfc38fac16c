package resolver

import (
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Phase says how far a member of a combined zone has come.
type Phase uint8

const (
	Outstanding Phase = iota // not decided yet
	Answered                 // decided; no codes mean that it lists nothing
	Missing                  // it could not be asked
)

// MemberState is what a member of a combined zone says of a subject.
type MemberState struct {
	Phase Phase
	Codes []rbl.Code // that count
}

// Sum is what the members amount to.
type Sum struct {
	Known  bool // nothing outstanding can change Listed
	Listed bool
	Text   string // how it came about
}

// combined is step 7 for a zone that weighs others. Each member is decided by
// the one function, with its own rules, mode and failures; an exemption in
// the combined zone removes from every member what it may remove there, and
// from the members of a member.
func (f *facts) combined(q *question, hit overrides.Hit, exempt bool) decision {
	z := q.zone
	above := f.above
	defer func() { f.above = above }()
	f.above = exempt || above
	states := make([]MemberState, len(z.members))
	sum := decision{ttl: ownTTL}
	failed := 0
	for i, m := range z.members {
		f.step(0, "member ", m.Name)
		d := decide(&question{zone: m, subject: q.subject, labels: q.labels, typ: wire.TypeA}, f)
		states[i] = memberState(m, &d, f.above)
		switch {
		case d.lacking:
			f.step(0, "not waited for: it cannot change the verdict") // else this is not the last call
			continue
		case d.verdict == Failed:
			failed++
			sum.ede, sum.reason = d.ede, m.Name+": "+d.reason
		case d.exempt && sum.hit.Rule == nil:
			sum.hit = d.hit
		}
		sum.ttl = min(sum.ttl, d.ttl)
		sum.stale = sum.stale || d.stale
	}
	v := z.Weigh(states)
	if !v.Known {
		return decision{lacking: true}
	}
	f.step(7, v.Text)
	switch {
	case v.Listed:
		sum.verdict, sum.form, sum.code, sum.text = Listed, formOwn, ownCode, v.Text
	case failed == len(z.members):
		sum.verdict = Failed
	case exempt:
		return exempted(hit)
	case sum.hit.Rule != nil:
		return exempted(sum.hit)
	}
	return sum
}

// memberState is what a member's decision counts for. exempt speaks of the
// combined zone: an exemption beats a deny rule there, too.
func memberState(m *zone, d *decision, exempt bool) MemberState {
	exempt = exempt && !m.Allow
	switch {
	case d.lacking:
		return MemberState{Phase: Outstanding}
	case d.kept:
		return MemberState{Phase: Answered}
	case d.verdict == Failed:
		return MemberState{Phase: Missing}
	case d.verdict == Denied && exempt && !m.NoOverride.Contains(d.code):
		return MemberState{Phase: Answered}
	case d.verdict != Listed && d.verdict != Denied:
		return MemberState{Phase: Answered}
	case d.form == formOwn:
		return MemberState{Phase: Answered, Codes: []rbl.Code{d.code}}
	}
	s := MemberState{Phase: Answered}
	for rec := range d.data.records {
		if code, ok := rec.code(); ok && m.remains(code, d.exempt || exempt) {
			s.Codes = append(s.Codes, code)
		}
	}
	return s
}
