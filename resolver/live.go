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
	said := passesNot
	for _, h := range hits {
		switch f.rules.LiveKnown(h, q.subject.Addr) {
		case overrides.LivePasses:
			f.step(7, "evaluated for this address: ", h.Source.String(), " passes")
			return h, passes
		case overrides.LiveUnknown:
			said = asking
		case overrides.LiveUnsure:
			said = max(said, unsure)
		}
	}
	switch {
	case said == unsure:
		f.step(7, unsureText)
	case said == passesNot:
		f.step(7, "evaluated for this address: no SPF record passes")
	case f.final != "" || slices.ContainsFunc(f.got, func(g fetched) bool { return g.kind == needLive && g.zone == q.zone }):
		said = unheard // it has waited for them
	default:
		f.lack(q, needLive, 0)
	}
	return overrides.Hit{}, said
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
