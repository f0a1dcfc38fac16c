//go:build !race

package overrides

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestTable_allocs holds the promise that the hot path is free of
// allocations. The race detector changes them, hence the build tag.
func TestTable_allocs(t *testing.T) {
	ranges := append(seededRanges(10_000, false), seededRanges(10_000, true)...)
	entries := []Entry{{Domain: Domain{"example.com", true}, Line: 1}}
	r := &Rule{Name: "r", Enabled: true, Zones: []string{"zen.example"}}
	table := build([]loaded{{rule: r, sources: []loadedSource{
		{sourceOf(KindSPF, "efax.com"), contentOfRanges(ranges, seededRanges(100, false))},
		{sourceOf(KindDomains, ""), contentOf(entries)},
	}}}, testNow)
	zone, name := strings.Clone("zen.example"), []byte(wireName("a.example.com")+"\x00")
	for what, f := range map[string]func(){
		"Lookup IPv4":   func() { table.Lookup(ranges[7].First).Allow(zone, testNow) },
		"Lookup IPv6":   func() { table.Lookup(ranges[10_007].First).Deny(zone, testNow) },
		"Lookup mapped": func() { table.Lookup(netip.AddrFrom16(ranges[7].First.As16())).Allow(zone, testNow) },
		"miss":          func() { table.Lookup(netip.IPv6Loopback()).Allow(zone, testNow) },
		"Live":          func() { table.Lookup(ranges[7].First).Live(zone, testNow) },
		"LookupDomain":  func() { table.LookupDomain(name).Allow(zone, testNow) },
		"Source.String": func() {
			if h, ok := table.Lookup(ranges[7].First).Allow(zone, testNow); !ok || h.Source.String() == "" {
				t.Error("no hit")
			}
		},
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", what, n)
		}
	}
}

// TestTable_a_million_prefixes holds the promises of size: seconds to load,
// tens of bytes a prefix.
func TestTable_a_million_prefixes(t *testing.T) {
	var text []byte
	for _, r := range seededRanges(1_000_000, false) {
		text = append(text, r.String()+"\n"...)
	}
	began := time.Now()
	entries, problems := ParseRuleFile("bench.txt", text)
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	c := contentOf(entries)
	r := &Rule{Name: "bench", Enabled: true}
	table := build([]loaded{{rule: r, sources: []loadedSource{{sourceOf(KindFile, "bench.txt"), c}}}}, testNow)
	took := time.Since(began)
	t.Logf("%d intervals in %s, %.1f MB", table.Intervals(), took.Round(time.Millisecond), float64(table.Bytes())/1e6)
	if took > 20*time.Second {
		t.Errorf("a million prefixes took %s to load", took)
	}
	if n := table.Bytes(); n > 40<<20 {
		t.Errorf("a million prefixes take %d bytes, want 40 MiB at most", n)
	}
}
