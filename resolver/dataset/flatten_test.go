package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFlatten_crowded compares ranges of one level that many values share, more than
// an answer holds, with what a scan finds at each key.
func TestFlatten_crowded(t *testing.T) {
	rng := rand.New(rand.NewPCG(5782, 1))
	in := newInterner()
	var spans []span
	for i := range 900 {
		val := in.record(defaultA, fmt.Append(nil, i))
		if i%300 == 0 {
			val = excluded
		}
		lo := rng.Uint64N(40)
		spans = append(spans, span{lo, lo + rng.Uint64N(20), val, 24})
	}
	steps := flatten(slices.Clone(spans), in)
	for key := range uint64(70) {
		var vals []value
		for _, s := range spans {
			if s.lo <= key && key <= s.hi {
				vals = append(vals, s.val)
			}
		}
		want, got := none, none
		if len(vals) > 0 {
			want = in.merge(vals)
		}
		for _, s := range steps {
			if s.from <= key {
				got = s.val
			}
		}
		if got != want {
			t.Errorf("key %d: value %d, want %d", key, got, want)
		}
	}
}
