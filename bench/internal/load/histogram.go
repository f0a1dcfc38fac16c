package load

import (
	"math/bits"
	"time"
)

// subBits is the logarithm of the buckets for each power of two: quantiles are
// exact to one part in 64.
const subBits = 6

// Histogram counts durations, in nanoseconds, in buckets that widen with them.
// The zero value is ready.
type Histogram struct {
	buckets [(64 - subBits + 1) << subBits]uint32
	count   uint64
	max     time.Duration
}

// bucket is where d is counted; index and width grow together.
func bucket(d uint64) int {
	shift := max(bits.Len64(d)-subBits-1, 0)
	return shift<<subBits + int(d>>shift)
}

// upper is the largest duration of bucket i.
func upper(i int) uint64 {
	shift := max(i>>subBits-1, 0)
	return uint64(i-shift<<subBits+1)<<shift - 1
}

// Record counts d once; a negative one as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucket(uint64(d))]++
	h.count++
	h.max = max(h.max, d)
}

// Quantile returns the least duration that a share q of all does not exceed,
// rounded up by at most 1/64; 0 without any.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q*float64(h.count) + 0.999999)
	rank = min(max(rank, 1), h.count)
	seen := uint64(0)
	for i, n := range h.buckets {
		if seen += uint64(n); n > 0 && seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return 0
}
