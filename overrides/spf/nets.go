package spf

import (
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// table answers for a list of networks which class the first one has that
// contains an address, and up to which address that answer stays the same.
// It covers one family from end to end; a lookup is a binary search.
type table struct {
	firsts  []netip.Addr // ascending; range i ends before firsts[i+1]
	classes []Result     // None: no prefix contains the range
}

// newTable builds the table of one family (IPv6 if six) from the terms' networks,
// whose classes are the qualifiers; those of the other family are skipped. Of equal
// networks the first counts, and so few lie around any address.
func newTable(terms []Term, six bool) *table {
	t := &table{firsts: []netip.Addr{firstOf(six)}}
	var own []Term
	seen := make(map[netip.Prefix]bool)
	for _, term := range terms {
		p := term.Network
		if seen[p] || p.Addr().Is6() != six || onlyMapped(p) {
			continue
		}
		seen[p], own = true, append(own, term)
		t.firsts = append(t.firsts, p.Addr())
		if next := netipx.PrefixLastIP(p).Next(); next.IsValid() {
			t.firsts = append(t.firsts, next)
		}
	}
	slices.SortFunc(t.firsts, netip.Addr.Compare)
	t.firsts = slices.Compact(t.firsts)
	t.classes = make([]Result, len(t.firsts))
	for _, term := range own {
		i, _ := slices.BinarySearchFunc(t.firsts, term.Network.Addr(), netip.Addr.Compare)
		for ; i < len(t.firsts) && term.Network.Contains(t.firsts[i]); i++ {
			if t.classes[i] == None { // else an earlier term has it
				t.classes[i] = term.Qualifier
			}
		}
	}
	t.mergeNeighbours()
	return t
}

// mergeNeighbours makes one range of those of one class.
func (t *table) mergeNeighbours() {
	n := 0
	for i, class := range t.classes {
		if n == 0 || class != t.classes[n-1] {
			t.firsts[n], t.classes[n] = t.firsts[i], class
			n++
		}
	}
	t.firsts, t.classes = t.firsts[:n], t.classes[:n]
}

// find returns the class of the range that contains a, and where the range ends.
func (t *table) find(a netip.Addr) (class Result, last netip.Addr) {
	i, found := slices.BinarySearchFunc(t.firsts, a, netip.Addr.Compare)
	if !found {
		i-- // never below 0: firsts begins with the family's first address
	}
	if i+1 < len(t.firsts) {
		return t.classes[i], t.firsts[i+1].Prev()
	}
	return t.classes[i], lastAddr(a.Is6())
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
