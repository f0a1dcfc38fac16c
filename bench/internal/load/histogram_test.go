package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogram compares quantiles with those of the sorted durations.
func TestHistogram(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 10, 1000, 100_000} {
		var h Histogram
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = time.Duration(rnd.Uint64() >> (20 + rnd.IntN(40)))
			h.Record(all[i])
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			rank := min(max(int(q*float64(n)+0.999999), 1), n)
			want, got := all[rank-1], h.Quantile(q)
			if got < want || float64(got) > float64(want)*(1+1.0/64)+1 {
				t.Errorf("Quantile(%v) of %d = %d, want %d or at most 1/64 more", q, n, got, want)
			}
		}
		if h.count != uint64(n) || h.max != all[n-1] {
			t.Errorf("count %d, max %d, want %d, %d", h.count, h.max, n, all[n-1])
		}
	}
}

func TestHistogram_empty(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("Quantile of nothing = %v, want 0", got)
	}
}

// TestBucket has every duration in a bucket whose bounds hold it.
func TestBucket(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		d := rnd.Uint64() >> (1 + rnd.IntN(62))
		i := bucket(d)
		if d > upper(i) || i > 0 && d <= upper(i-1) {
			t.Fatalf("%d is in bucket %d, from %d to %d", d, i, upper(i-1)+1, upper(i))
		}
	}
}
