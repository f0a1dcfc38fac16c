package rbl

import (
	"errors"
	"net/netip"
	"strings"
)

// ParseLabels reads the labels left of a zone, in wire form (each with its
// length in front, without the root), lower case. It allocates nothing and
// keeps no reference to labels.
//
// An address is an address whatever the zone holds, so that a list of domains
// is not bothered with it. What is incomplete is Partial only below a zone
// that holds such addresses: "a.b" is the start of an IPv6 name in one zone
// and a domain in another. The form decides, never what looks likely: octets
// have no leading zeros and end at 255, IPv6 has exactly 32 nibbles.
func ParseLabels(labels []byte, holds Holds) Subject {
	if len(labels) == 0 {
		return Subject{Shape: Apex}
	}
	if a, n, whole := parse4(labels); whole {
		if n == 4 {
			b := [4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}
			return Subject{Shape: IP4, Addr: netip.AddrFrom4(b), Test: test4(b)}
		}
		if holds&HoldsIP4 != 0 {
			return Subject{Shape: Partial}
		}
	}
	if a, n, whole := parse6(labels); whole {
		if n == 32 {
			return Subject{Shape: IP6, Addr: netip.AddrFrom16(a), Test: test6(a)}
		}
		if holds&HoldsIP6 != 0 {
			return Subject{Shape: Partial}
		}
	}
	return parseDomain(labels)
}

// parse4 reads up to four octets, last octet of the address first (RFC 5782,
// section 2.1). whole says that labels ended after those n octets.
func parse4(labels []byte) (a uint32, n int, whole bool) {
	for off := 0; off < len(labels); n++ {
		size := int(labels[off])
		if n == 4 || size == 0 || size > 3 || off+size >= len(labels) {
			return a, n, false
		}
		v := uint32(labels[off+1] - '0')
		if v > 9 {
			return a, n, false
		}
		off += 1 + size
		for i := off - size + 1; i < off; i++ {
			d := uint32(labels[i] - '0')
			if d > 9 || v == 0 { // a leading zero
				return a, n, false
			}
			v = v*10 + d
		}
		if v > 255 {
			return a, n, false
		}
		a = a>>8 | v<<24
	}
	return a, n, true
}

// parse6 reads up to 32 nibbles, least significant first (RFC 5782, section
// 2.4). whole says that labels ended after those n nibbles.
func parse6(labels []byte) (a [16]byte, n int, whole bool) {
	for n < 32 && len(labels) > 0 {
		if len(labels) < 2 || labels[0] != 1 {
			return a, n, false
		}
		v := labels[1]
		switch {
		case '0' <= v && v <= '9':
			v -= '0'
		case 'a' <= v && v <= 'f':
			v -= 'a' - 10
		default:
			return a, n, false
		}
		a[15-n/2] |= v << (4 * (n & 1))
		n++
		labels = labels[2:]
	}
	return a, n, len(labels) == 0
}

// parseDomain accepts names of printable ASCII without the bytes that would
// need an escape in text. A name that ends in a number is a mistyped address,
// since no top-level domain is numeric (RFC 3696, section 2): lists answer
// such questions with error codes, so they are not asked.
func parseDomain(labels []byte) Subject {
	whole := labels
	numeric := false
	for len(labels) > 0 {
		size := int(labels[0])
		if size == 0 || size > 63 || size >= len(labels) {
			return Subject{}
		}
		numeric = true
		for _, c := range labels[1 : 1+size] {
			if !domainByte(c) {
				return Subject{}
			}
			if c < '0' || c > '9' {
				numeric = false
			}
		}
		labels = labels[1+size:]
	}
	if numeric {
		return Subject{}
	}
	s := Subject{Shape: Domain}
	// RFC 5782, section 5: domain lists list TEST and not INVALID.
	switch string(whole) {
	case "\x04test":
		s.Test = TestListed
	case "\x07invalid":
		s.Test = TestUnlisted
	}
	return s
}

// domainByte reports whether c may stand in a label: printable ASCII, because
// lists hold underscores, hashes and quoted mail addresses too, but nothing
// that needs an escape in text, no colon, which would look like an address, and
// no capital (names arrive in lower case).
func domainByte(c byte) bool {
	return c > ' ' && c < 0x7f && c != '.' && c != ':' && c != '\\' && c != '"' && (c < 'A' || c > 'Z')
}

// DomainText returns labels in wire form as text: "www.example.com". It is
// meant for what ParseLabels called a Domain; in other names, bytes that need
// an escape are written as '?'. Labels that overrun are cut off.
func DomainText(labels []byte) string {
	b := make([]byte, 0, len(labels))
	for len(labels) > 0 {
		size := min(int(labels[0]), len(labels)-1)
		if len(b) > 0 {
			b = append(b, '.')
		}
		for _, c := range labels[1 : 1+size] {
			if !domainByte(c) {
				c = '?'
			}
			b = append(b, c)
		}
		labels = labels[1+size:]
	}
	return string(b)
}

var (
	errEmptyLabel = errors.New("empty label")
	errLongLabel  = errors.New("label longer than 63 bytes")
	errLongName   = errors.New("name longer than 253 bytes")
)

// AppendName appends a name in wire form: each label with its length in front,
// ASCII letters in lower case (RFC 4343, section 3), then the root's zero. The
// trailing dot may be missing. There are no escapes: a label holds any byte but
// a dot. Of the root and of what is no name it appends nothing.
func AppendName(dst []byte, name string) ([]byte, error) {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 {
		return dst, errLongName
	}
	out := dst
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return dst, errEmptyLabel
		case len(label) > 63:
			return dst, errLongLabel
		}
		out = append(out, byte(len(label)))
		for _, c := range []byte(label) {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			out = append(out, c)
		}
	}
	return append(out, 0), nil
}

// test4 and test6 know the test entries of RFC 5782, section 5.
func test4(a [4]byte) TestEntry {
	switch a {
	case [4]byte{127, 0, 0, 2}:
		return TestListed
	case [4]byte{127, 0, 0, 1}:
		return TestUnlisted
	}
	return NotTest
}

func test6(a [16]byte) TestEntry {
	switch a {
	case [16]byte{10: 0xff, 11: 0xff, 12: 0x7f, 15: 2}:
		return TestListed
	case [16]byte{10: 0xff, 11: 0xff, 12: 0x7f, 15: 1}:
		return TestUnlisted
	}
	return NotTest
}
