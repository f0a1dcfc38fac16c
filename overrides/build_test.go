package overrides

import (
	"fmt"
	"testing"
	"time"
)

// Each of many live terms speaks for nearly every address, and so there are as
// many matches wherever a range of any source begins or ends. Work that grows
// with their square takes a quarter of a minute here, else a tenth of a second.
func TestBuild_many_live_terms(t *testing.T) {
	const sources, ranges = 4000, 100
	l := loaded{rule: &Rule{Name: "x", Enabled: true}}
	everybody := []Range{{v4(0).addr(), v4(0).last().addr()}}
	for k := range v4(sources) {
		var fixed []Range
		if k < ranges {
			fixed = []Range{{(k << 8).addr(), (k<<8 + 15).addr()}}
		}
		l.sources = append(l.sources, loadedSource{sourceOf(KindSPF, fmt.Sprint(k)), contentOfRanges(fixed, everybody)})
	}
	began := time.Now()
	table := build([]loaded{l}, nil, testNow)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := table.rules[0].n4; n != (count{0, ranges * 16}) {
		t.Errorf("%v addresses are counted", n)
	}
}
