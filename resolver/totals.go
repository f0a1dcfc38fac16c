package resolver

import (
	"sync/atomic"

	"dnsblproxy/resolver/rbl"
)

// Totals are what was counted of one zone since the process started. They
// never go back, also when the zone is taken out and comes again. What was asked
// of it as a member of a combined zone is among them.
type Totals struct {
	Zone      string
	Questions uint64

	// Listings are questions about what the list has, or a deny rule: those
	// that an exemption answered otherwise, which Exempted counts, among them,
	// but not those about test entries, nor the question for a text after the
	// one for the address. Who asks for texts alone is counted by them.
	Listings uint64
	Exempted uint64

	Errors uint64 // questions that the list could not be asked, or not be believed
}

// Totals returns those of each zone served, in the order of the settings.
func (r *Resolver) Totals() []Totals {
	var out []Totals
	for _, z := range r.snap.Load().zones.order {
		t := Totals{Zone: z.Name, Exempted: z.counts.saved.Load()}
		again, texts := z.counts.again.Load(), z.counts.texts.Load() // before the sums that they are part of
		for v := range Verdict(verdicts) {
			n := uint64(z.counts.sum(func(sh *countShard) *atomic.Uint64 { return &sh.verdict[v] }) +
				z.counts.sum(func(sh *countShard) *atomic.Uint64 { return &sh.weighed[v] }))
			t.Questions += n
			switch v {
			case Listed, Denied:
				t.Listings += n
			case Failed:
				t.Errors = n
			}
		}
		t.Listings = max(t.Listings-again-texts, texts) + t.Exempted
		out = append(out, t)
	}
	return out
}

// Listing names the blocklists among the zones that have s by what is known
// at this moment. Nobody is asked, and zones that only add up others are left
// out.
func (r *Resolver) Listing(s rbl.Subject) []string {
	sc := r.borrow()
	defer r.scratch.Put(sc)
	labels := s.AppendWire(nil)
	var out []string
	for _, z := range r.snap.Load().zones.order {
		if z.Allow || z.Source == SourceCombined {
			continue
		}
		q := z.about(labels)
		r.prepare(&sc.facts, nil)
		sc.facts.final = "nobody waits" // decide with what is there
		if d := decide(&q, &sc.facts); d.verdict == Listed || d.verdict == Denied {
			out = append(out, z.Name)
		}
	}
	return out
}
