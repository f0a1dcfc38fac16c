package spf

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"go4.org/netipx"
)

// findSlow is the definition of table.find: the first network in the list.
func findSlow(terms []Term, a netip.Addr) Result {
	for _, t := range terms {
		if t.Network.Contains(a) {
			return t.Qualifier
		}
	}
	return None
}

func TestTable_find(t *testing.T) {
	for seed := range uint64(300) {
		w := &world{rng: rand.New(rand.NewPCG(seed, 1))}
		var terms []Term
		for range w.rng.IntN(30) {
			a := w.addr(w.oneIn(2))
			p, err := a.Prefix(max(0, a.BitLen()-w.rng.IntN(12)*w.rng.IntN(12)))
			if err != nil {
				t.Fatal(err)
			}
			terms = append(terms, Term{Network: p, Qualifier: []Result{Pass, Fail, Neutral}[w.rng.IntN(3)]})
		}
		for _, six := range []bool{false, true} {
			tab := newTable(terms, six)
			for _, term := range terms {
				p := term.Network
				for _, a := range []netip.Addr{p.Addr(), p.Addr().Prev(), netipx.PrefixLastIP(p), netipx.PrefixLastIP(p).Next(), w.addr(six), firstOf(six), lastAddr(six)} {
					if !a.IsValid() || a.Is6() != six {
						continue
					}
					got, last := tab.find(a)
					if want := findSlow(terms, a); got != want {
						t.Fatalf("seed %d: find(%v) = %v, want %v in %v", seed, a, got, want, terms)
					}
					if last.Less(a) || got != findSlow(terms, last) {
						t.Fatalf("seed %d: the range of %v is said to end at %v", seed, a, last)
					}
					if next := last.Next(); last != lastAddr(six) && got == findSlow(terms, next) {
						t.Fatalf("seed %d: the range of %v goes on behind %v", seed, a, last)
					}
				}
			}
		}
	}
}
