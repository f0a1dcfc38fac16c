package spf

import (
	"cmp"
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// table answers for a list of networks which class the first one has that
// contains an address, and between which addresses that answer stays the same.
// It covers one family from end to end; a lookup is a binary search.
type table struct {
	firsts  []netip.Addr // ascending; range i ends before firsts[i+1]
	classes []Result     // None: no prefix contains the range
}

// newTable builds the table of one family (IPv6 if six) from the terms' networks,
// whose classes are the qualifiers; those of the other family are skipped.
func newTable(terms []Term, six bool) *table {
	order := make([]int, 0, len(terms))
	for i, t := range terms {
		if t.Network.Addr().Is6() == six && !onlyMapped(t.Network) {
			order = append(order, i)
		}
	}
	// Prefixes nest or are apart: sorted by first address, the wider first,
	// those around the current one form a stack.
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(terms[a].Network.Compare(terms[b].Network), cmp.Compare(a, b))
	})
	type open struct {
		last   netip.Addr
		winner int // the earliest in the list of this prefix and those around it
	}
	var stack []open
	t := &table{firsts: []netip.Addr{firstOf(six)}, classes: []Result{None}}
	closeUpTo := func(before netip.Addr) { // the zero Addr closes all
		for n := len(stack); n > 0 && (!before.IsValid() || stack[n-1].last.Less(before)); n-- {
			class := None
			if n > 1 {
				class = terms[stack[n-2].winner].Qualifier
			}
			if next := stack[n-1].last.Next(); next.IsValid() && next.Is6() == six {
				t.put(next, class)
			}
			stack = stack[:n-1]
		}
	}
	for _, i := range order {
		p := terms[i].Network
		closeUpTo(p.Addr())
		winner := i
		if n := len(stack); n > 0 {
			winner = min(winner, stack[n-1].winner)
		}
		stack = append(stack, open{netipx.PrefixLastIP(p), winner})
		t.put(p.Addr(), terms[winner].Qualifier)
	}
	closeUpTo(netip.Addr{})
	return t
}

// put starts a range, and keeps neighbours of one class together.
func (t *table) put(first netip.Addr, class Result) {
	n := len(t.firsts)
	if t.firsts[n-1] == first {
		n--
		t.firsts, t.classes = t.firsts[:n], t.classes[:n]
	}
	if n > 0 && t.classes[n-1] == class {
		return
	}
	t.firsts = append(t.firsts, first)
	t.classes = append(t.classes, class)
}

// find returns the class of the range that contains a, and the range.
func (t *table) find(a netip.Addr) (class Result, first, last netip.Addr) {
	i, found := slices.BinarySearchFunc(t.firsts, a, netip.Addr.Compare)
	if !found {
		i-- // never below 0: firsts begins with the family's first address
	}
	if i+1 < len(t.firsts) {
		return t.classes[i], t.firsts[i], t.firsts[i+1].Prev()
	}
	return t.classes[i], t.firsts[i], lastAddr(a.Is6())
}

// firstOf and lastAddr are the ends of a family.
func firstOf(six bool) netip.Addr {
	if six {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

func lastAddr(six bool) netip.Addr {
	return netipx.PrefixLastIP(netip.PrefixFrom(firstOf(six), 0))
}

// onlyMapped reports whether the prefix lies within ::ffff:0:0/96. No client
// ever matches it: RFC 7208, section 5, treats such clients as IPv4.
func onlyMapped(p netip.Prefix) bool { return p.Addr().Is4In6() && p.Bits() >= 96 }
