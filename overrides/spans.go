package overrides

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// point is an address of one family as a number.
type point[A any] interface {
	comparable
	less(A) bool
	next() A // not defined for last()
	prev() A // not defined for zero
	last() A // the family's highest address
	addr() netip.Addr
}

// compare is less as slices wants it.
func compare[A point[A]](x, y A) int {
	switch {
	case x.less(y):
		return -1
	case y.less(x):
		return 1
	}
	return 0
}

// v4 is an IPv4 address in host order.
type v4 uint32

func (a v4) less(b v4) bool { return a < b }
func (a v4) next() v4       { return a + 1 }
func (a v4) prev() v4       { return a - 1 }
func (a v4) last() v4       { return ^v4(0) }

func (a v4) addr() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(a))
	return netip.AddrFrom4(b)
}

// v6 is an IPv6 address in host order. next and prev skip ::ffff:0:0/96, whose
// addresses are IPv4 everywhere here, so that no part of a range begins or ends there.
type v6 struct{ hi, lo uint64 }

func (a v6) less(b v6) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a v6) next() v6 {
	lo, carry := bits.Add64(a.lo, 1, 0)
	if a.hi == 0 && lo == 0xffff_0000_0000 {
		lo += 1 << 32
	}
	return v6{a.hi + carry, lo}
}

func (a v6) prev() v6 {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	if a.hi == 0 && lo == 0xffff_ffff_ffff {
		lo -= 1 << 32
	}
	return v6{a.hi - borrow, lo}
}

func (a v6) last() v6 { return v6{^uint64(0), ^uint64(0)} }

func (a v6) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return netip.AddrFrom16(b)
}

func v4Of(a netip.Addr) v4 {
	b := a.As4()
	return v4(binary.BigEndian.Uint32(b[:]))
}

func v6Of(a netip.Addr) v6 {
	b := a.As16()
	return v6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// span is an inclusive range and the line it was written in; 0 for none.
type span[A point[A]] struct {
	lo, hi A
	line   uint32
}

// disjoint returns spans, which it sorts in place, as sorted ranges that do
// not overlap. Where several lines cover an address, the first line stays;
// neighbours of the same line are merged.
func disjoint[A point[A]](spans []span[A]) []span[A] {
	var p pace
	byStart := func(x, y span[A]) int {
		p.step()
		if c := compare(x.lo, y.lo); c != 0 {
			return c
		}
		return cmp.Compare(x.line, y.line)
	}
	if !slices.IsSortedFunc(spans, byStart) {
		slices.SortFunc(spans, byStart)
	}
	overlap := false
	for i := 1; i < len(spans) && !overlap; i++ {
		overlap = !spans[i-1].hi.less(spans[i].lo)
	}
	if !overlap {
		return mergeNeighbours(spans)
	}
	return sweep(spans)
}

// mergeNeighbours joins touching ranges of one line, in place.
func mergeNeighbours[A point[A]](spans []span[A]) []span[A] {
	var p pace
	out := spans[:0]
	for _, s := range spans {
		p.step()
		out = appendSpan(out, s)
	}
	return out
}

func appendSpan[A point[A]](out []span[A], s span[A]) []span[A] {
	if n := len(out); n > 0 {
		p := &out[n-1]
		if p.line == s.line && p.hi != p.hi.last() && p.hi.next() == s.lo {
			p.hi = s.hi
			return out
		}
	}
	return append(out, s)
}

// sweep walks over sorted, overlapping spans and keeps the first line at
// every address. It costs n log n however deep they are nested.
func sweep[A point[A]](spans []span[A]) []span[A] {
	out := make([]span[A], 0, len(spans))
	var active lineHeap[A]
	var pos A
	for i := 0; i < len(spans) || len(active) > 0; {
		if len(active) == 0 {
			pos = spans[i].lo
		}
		for i < len(spans) && !pos.less(spans[i].lo) {
			heap.Push(&active, spans[i])
			i++
		}
		for len(active) > 0 && active[0].hi.less(pos) {
			heap.Pop(&active)
		}
		if len(active) == 0 {
			continue
		}
		top := active[0]
		stop := top.hi
		if i < len(spans) && !stop.less(spans[i].lo) {
			stop = spans[i].lo.prev()
		}
		out = appendSpan(out, span[A]{pos, stop, top.line})
		if stop == stop.last() {
			break
		}
		pos = stop.next()
	}
	return out
}

// lineHeap orders the spans that cover one address by line.
type lineHeap[A point[A]] []span[A]

func (h lineHeap[A]) Len() int           { return len(h) }
func (h lineHeap[A]) Less(i, j int) bool { return h[i].line < h[j].line }
func (h lineHeap[A]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lineHeap[A]) Push(x any)        { *h = append(*h, x.(span[A])) }

func (h *lineHeap[A]) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}

// meet calls f for every range that two sorted, disjoint lists share.
func meet[A point[A]](x, y []span[A], f func(lo, hi A)) {
	for i, j := 0, 0; i < len(x) && j < len(y); {
		lo, hi := x[i].lo, x[i].hi
		if lo.less(y[j].lo) {
			lo = y[j].lo
		}
		if y[j].hi.less(hi) {
			hi = y[j].hi
		}
		if !hi.less(lo) {
			f(lo, hi)
		}
		if x[i].hi.less(y[j].hi) {
			i++
		} else {
			j++
		}
	}
}
