package dataset

import (
	"errors"
	"math"
	"strings"
)

func isSpace(c byte) bool   { return c == ' ' || c == '\t' }
func isComment(c byte) bool { return c == '#' || c == ';' }
func isDigit(c byte) bool   { return c >= '0' && c <= '9' }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func skipSpace(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// cutWord returns the bytes up to the first space, and what follows the spaces.
func cutWord(s []byte) (word, rest []byte) {
	i := 0
	for i < len(s) && !isSpace(s[i]) {
		i++
	}
	return s[:i], skipSpace(s[i:])
}

// endsKey reports whether an address may end where rest begins.
func endsKey(rest []byte) bool {
	return len(rest) == 0 || isSpace(rest[0]) || isComment(rest[0]) || rest[0] == ':'
}

// parseOctets reads one to four decimal octets with dots between them; missing
// ones are zero. ok is false when a number is missing or above 255.
func parseOctets(s []byte) (addr uint32, n int, rest []byte, ok bool) {
	for {
		if len(s) == 0 || !isDigit(s[0]) {
			return 0, 0, s, false
		}
		o := uint32(0)
		for len(s) > 0 && isDigit(s[0]) {
			if o = o*10 + uint32(s[0]-'0'); o > 255 {
				return 0, 0, s, false
			}
			s = s[1:]
		}
		addr |= o << (24 - 8*n)
		n++
		if n == 4 || len(s) == 0 || s[0] != '.' {
			return addr, n, s, true
		}
		s = s[1:]
	}
}

// inetAddr reads n leading octets as inet_aton does: the last one written is
// the last one of the address (127.2 is 127.0.0.2).
func inetAddr(a uint32, n int) uint32 {
	switch n {
	case 1:
		return a >> 24
	case 2:
		return a&0xff000000 | a>>16&0xff
	case 3:
		return a&0xffff0000 | a>>8&0xff
	}
	return a
}

// mask4 is the network mask of a prefix length from 0 to 32.
func mask4(bits int) uint32 { return uint32(uint64(math.MaxUint32) << (32 - bits)) }

var (
	errAddress  = errors.New("this is no address, prefix or range")
	errHostBits = errors.New("host bits are set in the range")
	errRange    = errors.New("the range ends before it begins, or its ends have different lengths")
)

// parseBits reads the number after a slash.
func parseBits(s []byte, most uint32) (bits int, rest []byte, err error) {
	n, rest, ok := parseDigits(s)
	if !ok || n > most {
		return 0, s, errAddress
	}
	return int(n), rest, nil
}

// range4 is what an IPv4 entry covers.
type range4 struct {
	lo, hi uint32
	bits   int // the prefix length; 32 for what was written as a range
}

// parseRange4 reads every spelling of an IPv4 entry: address, leading octets,
// prefix, range. ranges tells whether a range may stand there (ip4set) or not
// (ip4trie).
func parseRange4(s []byte, ranges bool) (r range4, rest []byte, err error) {
	lo, n, s, ok := parseOctets(s)
	if !ok {
		return r, s, errAddress
	}
	bits := 8 * n
	switch {
	case len(s) > 0 && s[0] == '/':
		if bits, s, err = parseBits(s[1:], 32); err != nil {
			return r, s, err
		}
	case len(s) > 0 && s[0] == '-' && ranges:
		hi, rest, err := parseRangeEnd4(lo, bits, s[1:])
		return range4{lo, hi, 32}, rest, err
	case n == 1: // a bare number is more likely a slip than a /8
		return r, s, errAddress
	}
	if !endsKey(s) {
		return r, s, errAddress
	}
	if lo&^mask4(bits) != 0 {
		return r, s, errHostBits
	}
	return range4{lo, lo | ^mask4(bits), bits}, s, nil
}

// parseRangeEnd4 reads what follows the dash: as many octets as before it, or
// one, which replaces the last one.
func parseRangeEnd4(lo uint32, bits int, s []byte) (hi uint32, rest []byte, err error) {
	hi, n, s, ok := parseOctets(s)
	switch {
	case !ok || !endsKey(s):
		return 0, s, errAddress
	case n == 1:
		hi = hi>>(bits-8) | lo&mask4(bits-8)
	case 8*n != bits:
		return 0, s, errRange
	}
	if hi |= ^mask4(bits); hi < lo {
		return 0, s, errRange
	}
	return hi, s, nil
}

// addr6 is an IPv6 address as two halves, in host order.
type addr6 struct{ hi, lo uint64 }

// parseWord6 reads one group of an IPv6 address; none is left unread.
func parseWord6(s []byte) (word uint16, rest []byte, ok bool) {
	for ; len(s) > 0; s = s[1:] {
		d := strings.IndexByte("0123456789abcdef", lower(s[0]))
		if d < 0 {
			break
		}
		if word > 0xfff {
			return 0, s, false
		}
		word, ok = word<<4|uint16(d), true
	}
	return word, s, ok
}

// parsePrefix6 reads groups of an IPv6 address, perhaps with ::. Without it,
// bits is 16 for each group written, so that trailing groups may be left out.
func parsePrefix6(s []byte) (a addr6, bits int, rest []byte, err error) {
	var words [8]uint16
	n, gap := 0, -1
	if len(s) > 1 && s[0] == ':' && s[1] == ':' {
		gap, s = 0, s[2:]
	}
	closed := false // the last group was not followed by a colon
	for n < 8 && !closed {
		word, after, ok := parseWord6(s)
		if !ok {
			break
		}
		words[n], s = word, after
		n++
		if closed = len(s) == 0 || s[0] != ':' || n == 8; closed {
			break
		}
		if s = s[1:]; gap < 0 && len(s) > 0 && s[0] == ':' {
			gap, s = n, s[1:]
		}
	}
	switch {
	case gap < 0 && !closed, gap >= 0 && n == 8:
		return addr6{}, 0, s, errAddress
	case gap >= 0:
		copy(words[gap+8-n:], words[gap:n])
		clear(words[gap : gap+8-n])
		n = 8
	}
	for i, w := range words {
		if i < 4 {
			a.hi = a.hi<<16 | uint64(w)
		} else {
			a.lo = a.lo<<16 | uint64(w)
		}
	}
	return a, 16 * n, s, nil
}

// mask6 is the network mask of a prefix length from 0 to 128.
func mask6(bits int) addr6 {
	if bits <= 64 {
		return addr6{hi: uint64(math.MaxUint64) << (64 - bits)}
	}
	return addr6{hi: math.MaxUint64, lo: uint64(math.MaxUint64) << (128 - bits)}
}

// parseCIDR6 reads an IPv6 prefix.
func parseCIDR6(s []byte) (a addr6, bits int, rest []byte, err error) {
	a, bits, s, err = parsePrefix6(s)
	if err != nil {
		return addr6{}, 0, s, err
	}
	if len(s) > 0 && s[0] == '/' {
		if bits, s, err = parseBits(s[1:], 128); err != nil {
			return addr6{}, 0, s, err
		}
	} else if bits == 16 { // a bare group is more likely a slip than a /16
		return addr6{}, 0, s, errAddress
	}
	if !endsKey(s) {
		return addr6{}, 0, s, errAddress
	}
	if m := mask6(bits); a.hi&^m.hi != 0 || a.lo&^m.lo != 0 {
		return addr6{}, 0, s, errHostBits
	}
	return a, bits, s, nil
}
