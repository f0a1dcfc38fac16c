package overrides

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/gaissmai/bart"
	"go4.org/netipx"
)

// sizes are how many prefixes the benchmarks' tables hold.
var sizes = []int{10, 10_000, 1_000_000}

// seededRanges returns n prefixes as an address list has them: two thirds
// single addresses, the rest networks of /20 to /31, spread over the unicast
// space; IPv6 as /32 to /64 of the allocated part.
func seededRanges(n int, six bool) []Range {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]Range, 0, n)
	for range n {
		var p netip.Prefix
		if six {
			hi := 0x2000_0000_0000_0000 | rnd.Uint64N(0x0c00)<<48 | rnd.Uint64()>>16
			p = netip.PrefixFrom(v6{hi, 0}.addr(), 32+4*rnd.IntN(9))
		} else {
			bits := 32
			if rnd.IntN(3) == 0 {
				bits = 20 + rnd.IntN(12)
			}
			p = netip.PrefixFrom(v4(1<<24+rnd.Uint32N(223<<24-1<<24)).addr(), bits)
		}
		r, err := ParseRange(p.Masked().String())
		if err != nil {
			panic(err)
		}
		out = append(out, r)
	}
	return out
}

// seededQuestions returns addresses inside ranges (hits) or outside of them,
// in random order, more of them than fit into the first caches.
func seededQuestions(t *Table, ranges []Range, hit bool) []netip.Addr {
	rnd := rand.New(rand.NewPCG(2, 3))
	out := make([]netip.Addr, 1<<16)
	for i := range out {
		for {
			a := ranges[rnd.IntN(len(ranges))].Last
			if !hit && a.Is4() {
				a = v4(rnd.Uint32()).addr()
			} else if !hit {
				a = v6{v6Of(a).hi ^ rnd.Uint64()>>12, rnd.Uint64()}.addr()
			}
			if t.Lookup(a).Empty() != hit {
				out[i] = a
				break
			}
		}
	}
	return out
}

// tableOf is one allow rule with a file of these ranges, a line each.
func tableOf(ranges []Range) *Table {
	entries := make([]Entry, len(ranges))
	for i, r := range ranges {
		entries[i] = Entry{Range: r, Line: i + 1}
	}
	r := &Rule{Name: "bench", Enabled: true}
	return build([]loaded{{rule: r, sources: []loadedSource{{sourceOf(KindFile, "bench.txt"), contentOf(entries)}}}}, testNow)
}

// BenchmarkTable asks one address per iteration: who, if anyone, exempts it.
func BenchmarkTable(b *testing.B) {
	for _, six := range []bool{false, true} {
		for _, n := range sizes {
			ranges := seededRanges(n, six)
			table := tableOf(ranges)
			for _, hit := range []bool{true, false} {
				asked := seededQuestions(table, ranges, hit)
				b.Run(fmt.Sprintf("v6=%t/prefixes=%d/hit=%t", six, n, hit), func(b *testing.B) {
					b.ReportAllocs()
					i, hits := 0, 0
					for b.Loop() {
						if _, ok := table.Lookup(asked[i&(1<<16-1)]).Allow("zen.example", testNow); ok {
							hits++
						}
						i++
					}
					if (hits == i) != hit {
						b.Fatalf("%d hits of %d", hits, i)
					}
				})
			}
		}
	}
}

// BenchmarkTable_Lookup is the search alone, to be compared with Bart.
func BenchmarkTable_Lookup(b *testing.B) {
	for _, six := range []bool{false, true} {
		for _, n := range sizes {
			ranges := seededRanges(n, six)
			table := tableOf(ranges)
			for _, hit := range []bool{true, false} {
				asked := seededQuestions(table, ranges, hit)
				b.Run(fmt.Sprintf("v6=%t/prefixes=%d/hit=%t", six, n, hit), func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if table.Lookup(asked[i&(1<<16-1)]).Empty() == hit {
							b.Fatal("wrong answer")
						}
						i++
					}
				})
			}
		}
	}
}

// BenchmarkMemory is what a lookup waits for once the table is larger than the
// processor's own caches: one load after the other, each from a place that only the
// one before names.
func BenchmarkMemory(b *testing.B) {
	for _, mib := range []int{1, 4, 16, 64} {
		lines := make([][8]uint64, mib<<20/64)
		order := rand.New(rand.NewPCG(1, 2)).Perm(len(lines))
		for i, at := range order {
			lines[at][0] = uint64(order[(i+1)%len(order)])
		}
		b.Run(fmt.Sprintf("MiB=%d", mib), func(b *testing.B) {
			at := uint64(0)
			for b.Loop() {
				at = lines[at][0]
			}
		})
	}
}

// BenchmarkBart is the same question to a table of the bart package, which
// knows the longest prefix only, not all rules that match.
func BenchmarkBart(b *testing.B) {
	for _, six := range []bool{false, true} {
		for _, n := range sizes {
			ranges := seededRanges(n, six)
			var other bart.Table[uint32]
			for i, r := range ranges {
				other.Insert(netipx.IPRangeFrom(r.First, r.Last).Prefixes()[0], uint32(i))
			}
			table := tableOf(ranges)
			for _, hit := range []bool{true, false} {
				asked := seededQuestions(table, ranges, hit)
				b.Run(fmt.Sprintf("v6=%t/prefixes=%d/hit=%t", six, n, hit), func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if _, ok := other.Lookup(asked[i&(1<<16-1)]); ok != hit {
							b.Fatal("wrong answer")
						}
						i++
					}
				})
			}
		}
	}
}

// BenchmarkTable_manyDomains is the union of a thousand domains' compiled
// SPF records: 100,000 intervals that overlap as shared providers do.
func BenchmarkTable_manyDomains(b *testing.B) {
	table, ranges := manyDomains()
	for _, hit := range []bool{true, false} {
		asked := seededQuestions(table, ranges, hit)
		b.Run(fmt.Sprintf("hit=%t", hit), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := table.Lookup(asked[i&(1<<16-1)]).Allow("zen.example", testNow); ok != hit {
					b.Fatal("wrong answer")
				}
				i++
			}
			b.ReportMetric(float64(table.Intervals()), "intervals")
		})
	}
}

func manyDomains() (*Table, []Range) {
	ranges := seededRanges(100_000, false)
	var l loaded
	l.rule = &Rule{Name: "bench", Enabled: true}
	for i := range 1000 {
		own := append([]Range{}, ranges[i*100:i*100+100]...)
		own = append(own, ranges[:20]...) // a provider that all of them include
		l.sources = append(l.sources, loadedSource{sourceOf(KindSPF, fmt.Sprint("d", i, ".example")), contentOfRanges(own, nil)})
	}
	return build([]loaded{l}, testNow), ranges
}

// BenchmarkTable_domain asks for a name three labels below an entry.
func BenchmarkTable_domain(b *testing.B) {
	for _, n := range sizes[:2] {
		entries := make([]Entry, n)
		for i := range entries {
			entries[i] = Entry{Domain: Domain{fmt.Sprintf("d%d.example.com", i), true}, Line: i + 1}
		}
		r := &Rule{Name: "bench", Enabled: true}
		table := build([]loaded{{rule: r, sources: []loadedSource{{sourceOf(KindDomains, ""), contentOf(entries)}}}}, testNow)
		for name, hit := range map[string]bool{"a.b.c.d7.example.com": true, "a.b.c.x7.example.com": false} {
			wire := []byte(wireName(name))
			b.Run(fmt.Sprintf("domains=%d/hit=%t", n, hit), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, ok := table.LookupDomain(wire).Allow("zen.example", testNow); ok != hit {
						b.Fatal("wrong answer")
					}
				}
			})
		}
	}
}

// BenchmarkBuild reads a rule file and builds the table of it.
func BenchmarkBuild(b *testing.B) {
	for _, n := range sizes {
		var text []byte
		for _, r := range seededRanges(n, false) {
			text = append(text, r.String()+"\n"...)
		}
		b.Run(fmt.Sprintf("prefixes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var kept *Table
			var c *content
			for b.Loop() {
				entries, problems := ParseRuleFile("bench.txt", text)
				if len(problems) > 0 {
					b.Fatal(problems)
				}
				c = contentOf(entries)
				r := &Rule{Name: "bench", Enabled: true}
				kept = build([]loaded{{rule: r, sources: []loadedSource{{sourceOf(KindFile, "bench.txt"), c}}}}, testNow)
			}
			b.ReportMetric(float64(kept.Bytes())/float64(n), "B/prefix-in-table")
			runtime.KeepAlive(c)
		})
	}
}
