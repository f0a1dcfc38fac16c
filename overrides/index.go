package overrides

import "slices"

// index finds the interval of an address. A first index by the first 16 bits
// of the address, which for IPv6 tell most networks of the world apart, leaves
// a few neighbouring starts to search. For IPv4 these lie in one line of the
// processor's cache, and a lookup touches four lines in all.
type index[A point[A]] struct {
	top    []uint32 // top[h]: first interval that starts with h or above; 65537 of them
	starts []A
	rest   []rest[A]
}

// rest is what is read of an interval once it is found.
type rest[A point[A]] struct {
	end A
	set uint32
}

// indexOf makes the sets of the items and the index of these.
func indexOf[A point[A]](b *builder, items []item[A], size func(lo, hi A) count, six bool, top func(A) int) index[A] {
	x := index[A]{starts: make([]A, 0, len(items)), rest: make([]rest[A], 0, len(items))}
	overlay(items, func(lo, hi A, active []item[A]) {
		if set := setOf(b, active, size(lo, hi), six); set != 0 {
			x.add(lo, hi, set)
		}
	})
	x.starts, x.rest = slices.Clip(x.starts), slices.Clip(x.rest)
	x.top = firstIndex(x.starts, top)
	return x
}

// add appends an interval above all others.
func (x *index[A]) add(lo, hi A, set uint32) {
	if n := len(x.rest); n > 0 && x.rest[n-1].set == set && x.rest[n-1].end.next() == lo {
		x.rest[n-1].end = hi
		return
	}
	x.starts, x.rest = append(x.starts, lo), append(x.rest, rest[A]{hi, set})
}

func top4(a v4) int { return int(a >> 16) }
func top6(a v6) int { return int(a.hi >> 48) }

// find4 and find6 return the set of an address. Each family has its own, since
// generic code would make a call of every comparison.
func find4(x *index[v4], a v4) uint32 {
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

func find6(x *index[v6], a v6) uint32 {
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
