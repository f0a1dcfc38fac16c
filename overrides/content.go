package overrides

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// content is what one source opens. It is immutable once sealed: tables and
// goroutines share it.
type content struct {
	// layers hold the addresses. Each has its own end and its ranges are
	// sorted and disjoint, so that at one address a layer has one line.
	layers  []layer
	domains []domainEntry
}

// layer is a part of a content whose ranges end at the same time.
type layer struct {
	end  uint32 // seconds since 1970; 0: never
	live bool   // to be evaluated for one address at a time
	v4   []span[v4]
	v6   []span[v6]
}

// domainEntry is a domain in wire form without the root's zero byte.
type domainEntry struct {
	wire  string
	below bool
	line  uint32
	end   uint32
}

// contentOf compiles entries. The ranges of several layers may overlap, those
// of one do not.
func contentOf(entries []Entry) *content {
	c := &content{}
	for _, e := range entries {
		c.addEntry(e)
	}
	c.seal()
	return c
}

func (c *content) addEntry(e Entry) {
	end := endOf(e.Until)
	line := uint32(min(max(e.Line, 0), math.MaxInt32))
	if e.Domain.Name != "" {
		c.domains = append(c.domains, domainEntry{wireName(e.Domain.Name), e.Domain.Below, line, end})
		return
	}
	c.add(e.Range, line, end, false)
}

// contentOfRanges compiles what a machine published: no lines, no end.
func contentOfRanges(ranges, live []Range) *content {
	c := &content{}
	for _, r := range ranges {
		c.add(r, 0, 0, false)
	}
	for _, r := range live {
		c.add(r, 0, 0, true)
	}
	c.seal()
	return c
}

func (c *content) add(r Range, line, end uint32, live bool) {
	i := slices.IndexFunc(c.layers, func(l layer) bool { return l.end == end && l.live == live })
	if i < 0 {
		i = len(c.layers)
		c.layers = append(c.layers, layer{end: end, live: live})
	}
	l := &c.layers[i]
	if r.First.Is4() {
		l.v4 = append(l.v4, span[v4]{v4Of(r.First), v4Of(r.Last), line})
	} else if lo, hi := outsideMapped(v6Of(r.First), v6Of(r.Last)); !hi.less(lo) {
		l.v6 = append(l.v6, span[v6]{lo, hi, line})
	}
}

// outsideMapped moves the ends of a range out of ::ffff:0:0/96, whose
// addresses are IPv4 everywhere here; an end there would be read back as such.
func outsideMapped(lo, hi v6) (v6, v6) {
	first, last := v6{0, 0xffff_0000_0000}, v6{0, 0xffff_ffff_ffff}
	if !lo.less(first) && !last.less(lo) {
		lo = last.next()
	}
	if !hi.less(first) && !last.less(hi) {
		hi = first.prev()
	}
	return lo, hi
}

func (c *content) seal() {
	for i := range c.layers {
		l := &c.layers[i]
		l.v4 = slices.Clip(disjoint(l.v4))
		l.v6 = slices.Clip(disjoint(l.v6))
	}
}

// equal reports whether o opens the same, line by line. Both are sealed.
func (c *content) equal(o *content) bool {
	if c == nil || o == nil {
		return c == o
	}
	return slices.Equal(c.domains, o.domains) &&
		slices.EqualFunc(c.layers, o.layers, func(x, y layer) bool {
			return x.end == y.end && x.live == y.live && slices.Equal(x.v4, y.v4) && slices.Equal(x.v6, y.v6)
		})
}

// empty reports whether c opens nothing at all.
func (c *content) empty() bool {
	return c == nil || len(c.layers) == 0 && len(c.domains) == 0
}

// counts returns how many addresses c, which may be nil, holds for sure.
func (c *content) counts() (n4, n6 count) { return c.countsOf(false) }

// countsOf adds up the fixed or the live layers. Those of a file may overlap.
func (c *content) countsOf(live bool) (n4, n6 count) {
	if c == nil {
		return n4, n6
	}
	for _, l := range c.layers {
		if l.live != live {
			continue
		}
		for _, s := range l.v4 {
			n4 = n4.add(size4(s.lo, s.hi))
		}
		for _, s := range l.v6 {
			n6 = n6.add(size6(s.lo, s.hi))
		}
	}
	return n4, n6
}

// endedBetween counts the entries that ended from a time on until now, or all
// that have ended, and says when the next one will.
func (c *content) endedBetween(from, now time.Time, all bool) (n int, next time.Time) {
	next = time.Unix(math.MaxUint32, 0)
	check := func(end uint32, entries int) {
		t := time.Unix(int64(end), 0)
		switch {
		case end == 0:
		case t.After(now):
			if t.Before(next) {
				next = t
			}
		case all || !t.Before(from):
			n += entries
		}
	}
	for _, y := range c.layers {
		check(y.end, len(y.v4)+len(y.v6))
	}
	for _, d := range c.domains {
		check(d.end, 1)
	}
	return n, next
}

// common returns how many addresses of the fixed layers c and o share. Both
// are the contents of machines.
func (c *content) common(o *content) (n4, n6 count) {
	return contentOfRanges(c.within(o.ranges()), nil).counts()
}

// and returns what c and o open together. Both are the contents of machines.
func (c *content) and(o *content) *content {
	if c == nil || c.equal(o) {
		return o
	}
	return contentOfRanges(append(c.ranges(), o.ranges()...), append(c.rangesOf(true), o.rangesOf(true)...))
}

// count is a number of addresses. The whole of IPv6 saturates at 2^128-1,
// which no limit and no reader can tell from 2^128.
type count struct{ hi, lo uint64 }

func size4(lo, hi v4) count { return count{0, uint64(hi-lo) + 1} }

func size6(lo, hi v6) count {
	l, borrow := bits.Sub64(hi.lo, lo.lo, 0)
	h, _ := bits.Sub64(hi.hi, lo.hi, borrow)
	return count{h, l}.add(count{0, 1})
}

func (n count) add(m count) count {
	lo, carry := bits.Add64(n.lo, m.lo, 0)
	hi, over := bits.Add64(n.hi, m.hi, carry)
	if over != 0 {
		return count{^uint64(0), ^uint64(0)}
	}
	return count{hi, lo}
}

// above reports whether n is more than 2^exp addresses.
func (n count) above(exp int) bool {
	switch {
	case exp >= 128:
		return false
	case exp >= 64:
		limit := uint64(1) << (exp - 64)
		return n.hi > limit || n.hi == limit && n.lo > 0
	}
	return n.hi > 0 || n.lo > 1<<exp
}

func (n count) float() float64 {
	return float64(n.hi)*0x1p64 + float64(n.lo)
}
