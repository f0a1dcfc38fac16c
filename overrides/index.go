package overrides

import (
	"math/bits"
	"slices"
)

// index finds the interval of a key among disjoint ones. A first index by the
// highest 16 bits of the key leaves a few neighbouring starts to search; where
// it leaves many, the fences say which. What is read of an interval once
// it is found lies in one place. So a lookup waits for three or four lines
// of the processor's cache, however many intervals there are.
type index[K ~uint32 | ~uint64] struct {
	top    []uint32 // top[t]: first interval that starts with t or above; 65537 of them, nil without intervals
	fences []K      // every stride-th start
	starts []K
	rest   []rest[K]
}

// stride starts of IPv6 are two neighbouring lines, which are fetched together.
const stride = 16

type rest[K ~uint32 | ~uint64] struct {
	end K
	match
}

// add appends an interval above all others.
func (x *index[K]) add(start, end K, m match) {
	x.starts, x.rest = append(x.starts, start), append(x.rest, rest[K]{end, m})
}

// seal makes the index ready to be asked.
func (x *index[K]) seal() {
	x.starts, x.rest = slices.Clip(x.starts), slices.Clip(x.rest)
	if len(x.starts) == 0 {
		return
	}
	x.top = make([]uint32, 1<<16+1)
	i := 0
	for t := range x.top {
		for i < len(x.starts) && int(top(x.starts[i])) < t {
			i++
		}
		x.top[t] = uint32(i)
	}
	x.fences = make([]K, 0, (len(x.starts)+stride-1)/stride)
	for i := 0; i < len(x.starts); i += stride {
		x.fences = append(x.fences, x.starts[i])
	}
}

// top returns the highest 16 bits of a key.
func top[K ~uint32 | ~uint64](key K) uint16 { return uint16(key >> (bits.Len64(uint64(^K(0))) - 16)) }

// find returns what matches the key.
func (x *index[K]) find(key K) match {
	if len(x.top) == 0 {
		return match{}
	}
	// The last interval that does not start above the key may hold it, and may
	// have started with other bits.
	t := uint32(top(key))
	lo, hi := x.top[t], x.top[t+1]
	if hi-lo > 2*stride {
		first := lo / stride
		fence := first + above(x.fences[first:(hi+stride-1)/stride], key)
		if fence > first {
			lo = (fence-1)*stride + 1
		}
		hi = min(hi, fence*stride)
	}
	i := lo + above(x.starts[lo:hi], key)
	if i == 0 {
		return match{}
	}
	return x.rest[i-1].at(key)
}

// at returns what matches a key that is not below the interval's start.
func (r *rest[K]) at(key K) match {
	if key <= r.end {
		return r.match
	}
	return match{}
}

func (x *index[K]) bytes() int {
	key := bits.Len64(uint64(^K(0))) / 8
	return len(x.top)*4 + (len(x.fences)+len(x.starts))*key + len(x.rest)*(key+12)
}

// above returns how many of the sorted keys are not above the key.
func above[K ~uint32 | ~uint64](keys []K, key K) uint32 {
	lo, hi := 0, len(keys)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if keys[mid] <= key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return uint32(lo)
}

// index6 finds the interval of an IPv6 address by its upper half, which tells
// most networks apart, and where that does not, by the lower half among the
// intervals inside this one upper half.
type index6 struct {
	upper index[uint64]

	// A match of the source inside stands for those from line to end here.
	starts []uint64
	rest   []rest[uint64]
}

// add appends an interval above all others.
func (x *index6) add(lo, hi v6, m match) {
	const last = ^uint64(0)
	if lo.hi < hi.hi && lo.lo != 0 {
		x.addInside(lo, last, m)
		lo = v6{lo.hi + 1, 0}
	}
	if lo.hi < hi.hi && hi.lo != last {
		x.upper.add(lo.hi, hi.hi-1, m)
		lo = v6{hi.hi, 0}
	}
	if lo.lo == 0 && hi.lo == last {
		x.upper.add(lo.hi, hi.hi, m)
	} else {
		x.addInside(lo, hi.lo, m)
	}
}

// addInside appends an interval that is less than all of one upper half.
func (x *index6) addInside(lo v6, end uint64, m match) {
	u := &x.upper
	if n := len(u.starts); n == 0 || u.starts[n-1] != lo.hi {
		u.add(lo.hi, lo.hi, match{inside, uint32(len(x.starts)), uint32(len(x.starts))})
	}
	u.rest[len(u.rest)-1].match.end++
	x.starts, x.rest = append(x.starts, lo.lo), append(x.rest, rest[uint64]{end, m})
}

func (x *index6) seal() {
	x.upper.seal()
	x.starts, x.rest = slices.Clip(x.starts), slices.Clip(x.rest)
}

func (x *index6) find(a v6) match {
	m := x.upper.find(a.hi)
	if m.source != inside {
		return m
	}
	i := m.line + above(x.starts[m.line:m.end], a.lo)
	if i == m.line {
		return match{}
	}
	return x.rest[i-1].at(a.lo)
}
