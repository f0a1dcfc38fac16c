package resolver

import (
	"cmp"
	"slices"

	"dnsblproxy/overrides"
)

// live is what SPF terms that depend on the address itself say of it.
type live uint8

const (
	passesNot live = iota
	passes
	unsure  // DNS did not say, which counts as passesNot for now
	asking  // they are to be evaluated
	unheard // there was no time for that
)

// live asks whether such a term speaks for the address.
func (f *facts) live(q *question, set overrides.Set) (overrides.Hit, live) {
	hits := set.Live(q.zone.Name, f.now)
	if len(hits) == 0 {
		return overrides.Hit{}, passesNot
	}
	known, sure := true, true
	for _, h := range hits {
		pass, evaluated := f.rules.LiveKnown(h, q.subject.Addr)
		if evaluated && pass {
			f.step(7, "evaluated for this address: ", h.Source.String(), " passes")
			return h, passes
		}
		known = known && evaluated
		sure = sure && f.rules.LiveSure(h, q.subject.Addr)
	}
	switch {
	case known && !sure:
		f.step(7, unsureText)
		return overrides.Hit{}, unsure
	case known:
		f.step(7, "evaluated for this address: no SPF record passes")
		return overrides.Hit{}, passesNot
	case f.final != "" || slices.ContainsFunc(f.got, func(g fetched) bool { return g.kind == needLive && g.zone == q.zone }):
		return overrides.Hit{}, unheard // it has waited for them
	}
	f.lack(q, needLive, 0)
	return overrides.Hit{}, asking
}

// unsureText says why who may be exempt is listed.
const unsureText = "SPF records that may exempt this address cannot be evaluated"

// unsure is d, a listing, for no longer than the rules remember that DNS did
// not say whether it is exempt.
func (d decision) unsure() decision {
	d.ttl = min(d.ttl, staleTTL)
	if d.ede == 0 {
		d.ede, d.reason = edeNetwork, unsureText
	}
	return d
}

// inDoubt is the answer about what the list has and an unheard term may exempt.
func (f *facts) inDoubt(q *question) decision {
	d := decision{verdict: Failed, ttl: staleTTL, ede: edeUnreachable, reason: cmp.Or(f.final, "the rules have changed")}
	return f.onFailure(q, d, "SPF records that may exempt this address cannot")
}
