package resolver

import (
	"cmp"

	"dnsblproxy/overrides"
)

// live is what SPF terms that depend on the address itself say of it.
type live uint8

const (
	passesNot live = iota
	passes
	asking  // they are to be evaluated
	unheard // there was no time for that
)

// live asks whether such a term speaks for the address.
func (f *facts) live(q *question, set overrides.Set) (overrides.Hit, live) {
	hits := set.Live(q.zone.Name, f.now)
	if len(hits) == 0 {
		return overrides.Hit{}, passesNot
	}
	known := true
	for _, h := range hits {
		pass, sure := f.rules.LiveKnown(h, q.subject.Addr)
		if sure && pass {
			f.step(7, "evaluated for this address: ", h.Source.String(), " passes")
			return h, passes
		}
		known = known && sure
	}
	switch {
	case known:
		f.step(7, "evaluated for this address: no SPF record passes")
		return overrides.Hit{}, passesNot
	case f.tried(q, needLive):
		return overrides.Hit{}, unheard
	}
	f.lack(q, needLive, 0)
	return overrides.Hit{}, asking
}

// inDoubt is the answer about what the list has and an unheard term may exempt.
func (f *facts) inDoubt(q *question) decision {
	d := decision{verdict: Failed, ttl: staleTTL, ede: edeNetwork, reason: cmp.Or(f.final, "the rules have changed")}
	return f.onFailure(q, d, "SPF records that may exempt this address cannot")
}
