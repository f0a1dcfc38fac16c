package overrides

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"go4.org/netipx"
)

// Range is an inclusive range of addresses of one family. Both ends are
// unmapped and without zone, and First is not above Last.
type Range struct {
	First, Last netip.Addr
}

// holds reports whether all of o is in r.
func (r Range) holds(o Range) bool {
	return r.First.Compare(o.First) <= 0 && o.Last.Compare(r.Last) <= 0
}

// meets reports whether some of o is in r.
func (r Range) meets(o Range) bool {
	return r.First.Compare(o.Last) <= 0 && o.First.Compare(r.Last) <= 0
}

// String writes the range as an address, as a CIDR where it is one, else as
// First-Last. ParseRange reads it back.
func (r Range) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	if p, ok := netipx.IPRangeFrom(r.First, r.Last).Prefix(); ok {
		return p.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// Whole reports whether r covers its whole family.
func (r Range) Whole() bool {
	p, ok := netipx.IPRangeFrom(r.First, r.Last).Prefix()
	return ok && p.Bits() == 0
}

// ParseRange reads an address (192.0.2.7), a CIDR (198.51.100.0/24), an
// address with netmask (172.16.0.0/255.255.240.0), or a range
// (203.0.113.10-203.0.113.20), in IPv4 or IPv6. The IPv4-mapped form
// (::ffff:192.0.2.7) is IPv4.
//
// Host bits are refused, because 192.0.2.5/24 is far more often a slip than a
// wish to exempt 256 addresses. The error says what to write instead.
func ParseRange(s string) (Range, error) {
	s = strings.TrimSpace(s)
	if first, last, ok := strings.Cut(s, "-"); ok {
		return parseSpan(s, strings.TrimSpace(first), strings.TrimSpace(last))
	}
	if addr, mask, ok := strings.Cut(s, "/"); ok {
		return parseMasked(s, addr, mask)
	}
	a, err := parseAddr(s)
	if err != nil {
		return Range{}, err
	}
	a = a.Unmap()
	return Range{a, a}, nil
}

// parseAddr reads one address, still mapped if it was written so. Its error
// guesses what was meant.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err == nil && a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has a zone, which no list knows; write %s", s, a.WithZone(""))
	case err == nil:
		return a, nil
	case s == "":
		return netip.Addr{}, fmt.Errorf("%q is empty; write an address, a CIDR or a range A-B", s)
	}
	if b, ok := withoutLeadingZeros(s); ok {
		return netip.Addr{}, fmt.Errorf("%q has leading zeros, which some read as octal; write %s", s, b)
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		if a, err := netip.ParseAddr(s[1 : len(s)-1]); err == nil {
			return netip.Addr{}, fmt.Errorf("%q is in brackets; write %s", s, a)
		}
	}
	return netip.Addr{}, fmt.Errorf("%q is neither an address nor a CIDR; write it like 192.0.2.7, 198.51.100.0/24, 203.0.113.10-203.0.113.20 or 2001:db8::/48", s)
}

// withoutLeadingZeros returns 10.0.0.1 for 010.000.0.1.
func withoutLeadingZeros(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return netip.Addr{}, false
	}
	var b [4]byte
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), true
}

func parseSpan(s, first, last string) (Range, error) {
	a, err := parseAddr(first)
	if err != nil {
		return Range{}, fmt.Errorf("range %q: %w", s, err)
	}
	if n, nerr := strconv.ParseUint(last, 10, 8); nerr == nil && a.Unmap().Is4() {
		b := a.Unmap().As4()
		b[3] = byte(n)
		return Range{}, fmt.Errorf("range %q has a short end; write %s-%s", s, a.Unmap(), netip.AddrFrom4(b))
	}
	b, err := parseAddr(last)
	if err != nil {
		return Range{}, fmt.Errorf("range %q: %w", s, err)
	}
	a, b = a.Unmap(), b.Unmap()
	switch {
	case a.Is4() != b.Is4():
		return Range{}, fmt.Errorf("range %q mixes IPv4 and IPv6; write two entries", s)
	case b.Less(a):
		return Range{}, fmt.Errorf("range %q is reversed; write %s-%s", s, b, a)
	}
	return Range{a, b}, nil
}

func parseMasked(s, addr, mask string) (Range, error) {
	a, err := parseAddr(addr)
	if err != nil {
		return Range{}, err
	}
	n, err := parseMask(s, a, mask)
	if err != nil {
		return Range{}, err
	}
	// A mapped prefix of 96 bits or more lies inside IPv4. A shorter one is
	// plain IPv6; its mapped part can never match and need not.
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	p := netip.PrefixFrom(a, n)
	if m := p.Masked(); m.Addr() != a {
		if a.Is4In6() && n <= 32 {
			return Range{}, fmt.Errorf("%q has the prefix length of an IPv4 address; write %s", s, netip.PrefixFrom(a.Unmap(), n).Masked())
		}
		return Range{}, fmt.Errorf("%s has host bits set; write %s or %s", p, m, a.Unmap())
	}
	r := netipx.RangeOfPrefix(p)
	return Range{r.From(), r.To()}, nil
}

// parseMask returns the prefix length that mask stands for: a number, or for
// IPv4 a netmask.
func parseMask(s string, a netip.Addr, mask string) (int, error) {
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() {
		if !a.Is4() {
			return 0, fmt.Errorf("%q has an IPv4 netmask behind an IPv6 address; write a prefix length", s)
		}
		b := m.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		ones := bits.LeadingZeros32(^v)
		if v != ^uint32(0)<<(32-ones) {
			if zeros := bits.LeadingZeros32(v); v == ^uint32(0)>>zeros && zeros > 0 {
				return 0, fmt.Errorf("%q has a wildcard mask; write %s/%d", s, a, zeros)
			}
			return 0, fmt.Errorf("%q has a netmask with a hole; write one whose ones come first, as 255.255.240.0", s)
		}
		return ones, nil
	}
	n, err := strconv.Atoi(mask)
	if err != nil || n < 0 || strconv.Itoa(n) != mask {
		return 0, fmt.Errorf("%q has no prefix length after the slash; write a number from 0 to %d", s, a.BitLen())
	}
	if n > a.BitLen() {
		return 0, fmt.Errorf("%q has a prefix length above %d; write a number from 0 to %d", s, a.BitLen(), a.BitLen())
	}
	return n, nil
}
