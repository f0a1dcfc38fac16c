package overrides

import "slices"

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
	x.top = firstIndex(x.starts, func(a v4) int { return int(a >> 16) })
}

func (x *index4) bytes() int { return len(x.top)*4 + len(x.starts)*12 }

// index6 finds the interval of an IPv6 address in the same way. Its first
// index is by the first 16 bits, which tell most networks of the world apart.
type index6 struct {
	top    []uint32 // top[h]: first interval that starts at h<<112 or later; 65537 of them
	starts []v6
	rest   []rest6
}

// rest6 is what is read of an interval once it is found.
type rest6 struct {
	end v6
	set uint32
}

func (x *index6) find(a v6) uint32 {
	if len(x.top) == 0 {
		return 0
	}
	lo, hi := x.top[a.hi>>48], x.top[a.hi>>48+1]
	for lo < hi {
		mid := (lo + hi) / 2
		if s := &x.starts[mid]; s.hi < a.hi || s.hi == a.hi && s.lo <= a.lo {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0
	}
	if r := &x.rest[lo-1]; !r.end.less(a) {
		return r.set
	}
	return 0
}

// add appends an interval above all others.
func (x *index6) add(lo, hi v6, set uint32) {
	if n := len(x.rest); n > 0 && x.rest[n-1].set == set && x.rest[n-1].end.next() == lo {
		x.rest[n-1].end = hi
		return
	}
	x.starts, x.rest = append(x.starts, lo), append(x.rest, rest6{hi, set})
}

func (x *index6) seal() {
	x.starts, x.rest = slices.Clip(x.starts), slices.Clip(x.rest)
	x.top = firstIndex(x.starts, func(a v6) int { return int(a.hi >> 48) })
}

func (x *index6) bytes() int { return len(x.top)*4 + len(x.starts)*40 }

// firstIndex returns, for every value that half can have, the first start
// with that half or a higher one; nil without starts.
func firstIndex[A any](starts []A, half func(A) int) []uint32 {
	if len(starts) == 0 {
		return nil
	}
	top := make([]uint32, 1<<16+1)
	i := 0
	for h := range top {
		for i < len(starts) && half(starts[i]) < h {
			i++
		}
		top[h] = uint32(i)
	}
	return top
}
