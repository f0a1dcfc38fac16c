package overrides

import (
	"fmt"
	"testing"
)

// crowded is a rule with so many sources that each speak, by a live term, for
// everybody: as many matches wherever a range of any source begins or ends.
func crowded(sources, ranges int) []loaded {
	l := loaded{rule: &Rule{Name: "x", Enabled: true}}
	everybody := []Range{{v4(0).addr(), v4(0).last().addr()}}
	for k := range v4(sources) {
		var fixed []Range
		if int(k) < ranges {
			fixed = []Range{{(k << 8).addr(), (k<<8 + 15).addr()}}
		}
		l.sources = append(l.sources, loadedSource{sourceOf(KindSPF, fmt.Sprint(k)), contentOfRanges(fixed, everybody)})
	}
	return []loaded{l}
}

func TestBuild_crowded(t *testing.T) {
	table := build(crowded(400, 100), testNow)
	if n := table.rules[0].n4; n != (count{0, 100 * 16}) {
		t.Errorf("%v addresses are counted", n)
	}
}

// A job that appends the same domains day by day costs no more than its lines.
func TestBuild_domains_again_and_again(t *testing.T) {
	var entries []Entry
	for line := 1; line <= 1000; line++ {
		for _, d := range []Domain{{"example.com", true}, {"example.com", false}, {fmt.Sprintf("h%d.example.com", line%50), false}} {
			entries = append(entries, Entry{Domain: d, Line: line})
		}
	}
	table := build([]loaded{{rule: &Rule{Name: "x", Enabled: true}, sources: []loadedSource{{sourceOf(KindFile, "x.txt"), contentOf(entries)}}}}, testNow)
	if n := len(table.matches); n > 200 {
		t.Errorf("%d matches for 52 entries", n)
	}
	if hit, ok := table.LookupDomain([]byte(wireName("h7.example.com"))).Allow("", testNow); !ok || hit.Line != 1 {
		t.Errorf("h7.example.com: %+v, %t, want the first line that holds it", hit, ok)
	}
}

// With work that grows with the square of the sources the second is sixteen
// times the first.
func BenchmarkBuild_crowded(b *testing.B) {
	for _, sources := range []int{500, 2000} {
		b.Run(fmt.Sprint(sources), func(b *testing.B) {
			rules := crowded(sources, 100)
			for b.Loop() {
				build(rules, testNow)
			}
		})
	}
}
