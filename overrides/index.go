package overrides

import (
	"math"
	"math/bits"
	"slices"
	"sort"
)

// index4 finds the interval of an IPv4 address. A first index by the upper
// half of the address leaves a few neighbouring starts to search, which lie
// in one line of the processor's cache. A lookup touches four lines in all.
type index4 struct {
	top    []uint32 // top[h]: first interval that starts at h<<16 or later; 65537 of them
	starts []v4
	rest   []rest4
}

// rest4 is what is read of an interval once it is found.
type rest4 struct {
	end v4
	set uint32
}

func (x *index4) find(a v4) uint32 {
	if len(x.top) == 0 {
		return 0
	}
	lo, hi := x.top[a>>16], x.top[a>>16+1]
	// Find the first interval that starts above a; the one before it may hold
	// a, and may have started in an earlier half.
	for lo < hi {
		mid := (lo + hi) / 2
		if x.starts[mid] <= a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0
	}
	if r := x.rest[lo-1]; a <= r.end {
		return r.set
	}
	return 0
}

// add appends an interval above all others.
func (x *index4) add(lo, hi v4, set uint32) {
	if n := len(x.rest); n > 0 && x.rest[n-1].set == set && x.rest[n-1].end.next() == lo {
		x.rest[n-1].end = hi
		return
	}
	x.starts, x.rest = append(x.starts, lo), append(x.rest, rest4{hi, set})
}

func (x *index4) seal() {
	x.starts, x.rest = slices.Clip(x.starts), slices.Clip(x.rest)
	if len(x.starts) == 0 {
		return
	}
	x.top = make([]uint32, 1<<16+1)
	i := 0
	for h := range x.top {
		for i < len(x.starts) && int(x.starts[i]>>16) < h {
			i++
		}
		x.top[h] = uint32(i)
	}
}

func (x *index4) bytes() int { return len(x.top)*4 + len(x.starts)*12 }

// index6 finds the interval of an IPv6 address. The upper halves of the
// starts stand in levels: every eighth of a level is in the one above, so
// that each step compares with the eight numbers of one line of the cache.
type index6 struct {
	levels [][]block // levels[0] has all starts; padded with the highest number
	rest   []rest6
}

// block is one line of the processor's cache, 64 bytes.
type block [8]uint64

// upTo returns how many of the numbers are not above a. The borrow of a
// subtraction stands for a comparison, because a branch would be mispredicted
// half of the time.
func (b *block) upTo(a uint64) int {
	_, b0 := bits.Sub64(a, b[0], 0)
	_, b1 := bits.Sub64(a, b[1], 0)
	_, b2 := bits.Sub64(a, b[2], 0)
	_, b3 := bits.Sub64(a, b[3], 0)
	_, b4 := bits.Sub64(a, b[4], 0)
	_, b5 := bits.Sub64(a, b[5], 0)
	_, b6 := bits.Sub64(a, b[6], 0)
	_, b7 := bits.Sub64(a, b[7], 0)
	return len(b) - int(b0+b1+b2+b3+b4+b5+b6+b7)
}

// rest6 is what is read of an interval once its start's upper half is found.
type rest6 struct {
	lo  uint64 // lower half of the start
	end v6
	set uint32
}

func (x *index6) find(a v6) uint32 {
	i := x.last(a)
	if i < 0 {
		return 0
	}
	if r := &x.rest[i]; !r.end.less(a) {
		return r.set
	}
	return 0
}

// last returns the last interval that does not start above a, or -1.
func (x *index6) last(a v6) int {
	if a.hi == math.MaxUint64 {
		return x.lastOf(len(x.rest), a) // cannot be told from the padding
	}
	i := 0
	for l := len(x.levels) - 1; l >= 0; l-- {
		n := x.levels[l][i].upTo(a.hi)
		if n == 0 {
			return -1
		}
		i = i*len(block{}) + n - 1
	}
	if len(x.rest) == 0 {
		return -1
	}
	if x.hi(i) == a.hi && x.rest[i].lo > a.lo {
		return x.lastOf(i, a) // several start in one /64
	}
	return i
}

// lastOf searches the first n intervals.
func (x *index6) lastOf(n int, a v6) int {
	return sort.Search(n, func(i int) bool { return a.less(v6{x.hi(i), x.rest[i].lo}) }) - 1
}

func (x *index6) hi(i int) uint64 { return x.levels[0][i/len(block{})][i%len(block{})] }

// add appends an interval above all others.
func (x *index6) add(lo, hi v6, set uint32) {
	if n := len(x.rest); n > 0 && x.rest[n-1].set == set && x.rest[n-1].end.next() == lo {
		x.rest[n-1].end = hi
		return
	}
	if len(x.levels) == 0 {
		x.levels = [][]block{nil}
	}
	i := len(x.rest) % len(block{})
	if i == 0 {
		x.levels[0] = append(x.levels[0], padding())
	}
	bottom := x.levels[0]
	bottom[len(bottom)-1][i] = lo.hi
	x.rest = append(x.rest, rest6{lo.lo, hi, set})
}

func padding() (b block) {
	for i := range b {
		b[i] = math.MaxUint64
	}
	return b
}

func (x *index6) seal() {
	x.rest = slices.Clip(x.rest)
	for len(x.levels) > 0 && len(x.levels[len(x.levels)-1]) > 1 {
		below := x.levels[len(x.levels)-1]
		var level []block
		for i, b := range below {
			if i%len(b) == 0 {
				level = append(level, padding())
			}
			level[len(level)-1][i%len(b)] = b[0]
		}
		x.levels = append(x.levels, level)
	}
}

func (x *index6) bytes() int {
	n := len(x.rest) * 40
	for _, l := range x.levels {
		n += len(l) * 64
	}
	return n
}
