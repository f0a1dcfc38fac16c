package resolver

import (
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Sum is what the members of a combined zone amount to.
type Sum struct {
	Known  bool // nothing outstanding can change Listed
	Listed bool
	Text   func() string // how it came about

	Doubtful bool // not listed, but might be, had the missing ones been heard
}

// combined is step 7 for a zone that weighs others. Each member is decided by
// the one function, with its own rules, mode and failures; an exemption in
// the combined zone removes from every member what it may remove there, and
// from the members of a member. Terms that must be evaluated for the address
// are asked only if the sum is a listing, which is then weighed anew.
func (f *facts) combined(q *question, set overrides.Set, hit overrides.Hit, exempt bool) decision {
	above, aboveLive, renew, weighed := f.above, f.aboveLive, len(f.renew), len(f.weighed)
	defer func() { f.above, f.aboveLive = above, aboveLive }()
	if exempt {
		f.above = hit
	}
	from := f.told()
	sum, known := f.weigh(q)
	if !known {
		return decision{lacking: true}
	}
	to := f.told()
	if sum.verdict == Listed && !exempt && !f.aboveLive && !q.zone.Allow {
		var said live
		if hit, said = f.live(q, set); said == asking {
			return decision{lacking: true}
		}
		if said == unsure {
			return sum.unsure()
		}
		if said != passesNot {
			exempt, f.aboveLive = said == passes, true
			f.renew, f.weighed = f.renew[:renew], f.weighed[:weighed]
			f.untell(from, to)
			if sum, known = f.weigh(q); !known {
				return decision{lacking: true}
			}
			if said == unheard && sum.verdict != Listed {
				return f.inDoubt(q)
			}
		}
	}
	switch {
	case sum.verdict == Listed:
		return sum
	case exempt:
		return exempted(hit)
	case sum.verdict == Failed:
		return f.onFailure(q, sum, "no member can")
	case sum.hit.Rule != nil:
		return exempted(sum.hit)
	}
	return sum
}

// weigh adds up what the members say. known is false while a fact is lacking
// that may change the verdict. The hit of what is unlisted is a member's.
func (f *facts) weigh(q *question) (sum decision, known bool) {
	z := q.zone
	answers := make([]rbl.Answer, len(z.members))
	sum.ttl, sum.vain = ownTTL, true
	failed := 0
	asked := question{subject: q.subject, labels: q.labels, typ: wire.TypeA}
	for i, m := range z.members {
		f.step(0, "member ", m.Name)
		asked.zone = m
		d := decide(&asked, f)
		answers[i] = memberAnswer(m, &d, f.aboveLive)
		switch {
		case d.lacking:
			f.step(0, "not waited for: it cannot change the verdict") // else this is not the last call
			continue
		case d.verdict == Failed:
			failed++
			sum.ede, sum.reason = d.ede, m.Name+": "+d.reason
			sum.vain = sum.vain && d.vain
		case d.doubtful:
			sum.ede, sum.reason = d.ede, m.Name+": "+d.reason
		case d.exempt && sum.hit.Rule == nil:
			sum.hit = d.hit
		}
		if d.stale && failed == 0 {
			sum.ede, sum.reason = edeStaleNXDomain, m.Name+": "+d.reason
		}
		f.weighed = append(f.weighed, weighedMember{m, d})
		sum.ttl = min(sum.ttl, d.ttl)
		sum.stale = sum.stale || d.stale
	}
	v := z.Weigh(answers)
	if !v.Known {
		return sum, false
	}
	if f.steps != nil || q.typ == wire.TypeTXT {
		sum.text = v.Text()
		f.step(7, sum.text)
	}
	sum.doubtful = v.Doubtful
	switch {
	case v.Listed:
		sum.verdict, sum.form, sum.code = Listed, formOwn, rbl.CodeListed
		if sum.ede == edeStaleNXDomain {
			sum.ede = edeStale
		}
	case failed == len(z.members):
		sum.verdict = Failed
	}
	return sum, true
}

// memberAnswer is what a member's decision counts for. live says that a term
// evaluated for this address removes of it what it may.
func memberAnswer(m *zone, d *decision, live bool) rbl.Answer {
	switch {
	case d.lacking:
		return rbl.Answer{}
	case d.kept:
		return rbl.Answer{Phase: rbl.Answered}
	case d.verdict == Failed, d.doubtful:
		return rbl.Answer{Phase: rbl.Failed}
	case d.verdict != Listed && d.verdict != Denied:
		return rbl.Answer{Phase: rbl.Answered}
	case d.form == formOwn:
		return rbl.Answer{Phase: rbl.Answered, Codes: []rbl.Code{d.code}}
	}
	a := rbl.Answer{Phase: rbl.Answered}
	for rec := range d.data.records {
		if code, ok := rec.code(); ok && m.remains(code, d.exempt || live && !m.Allow) {
			a.Codes = append(a.Codes, code)
		}
	}
	return a
}
