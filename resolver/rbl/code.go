package rbl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Code is an address with which a list answers: 127.0.0.2 is 0x7f000002. What
// it means is the list's own (RFC 5782, section 2.3).
type Code uint32

// Codes with a meaning of their own.
const (
	CodeListed   Code = 0x7f000002 // of a list without finer codes (RFC 5782, section 2.1)
	codeLoopback Code = 0x7f000001
	codeTrouble  Code = 0x7fffff00 // 127.255.255.0/24: the list's own trouble
)

// ParseCode reads a dotted IPv4 address.
func ParseCode(s string) (Code, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0, fmt.Errorf("%q is not a code such as 127.0.0.2", s)
	}
	return CodeFromAddr(a), nil
}

// CodeFromAddr converts an IPv4 address; any other becomes 0, which is no
// code.
func CodeFromAddr(a netip.Addr) Code {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return Code(binary.BigEndian.Uint32(b[:]))
}

// Addr returns the address that c is.
func (c Code) Addr() netip.Addr {
	return netip.AddrFrom4([4]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
}

// String returns the dotted address.
func (c Code) String() string { return c.Addr().String() }

// Loopback reports whether c is in 127.0.0.0/8, where every answer of a list
// must be (RFC 5782, section 2.1).
func (c Code) Loopback() bool { return c>>24 == 127 }

// CodeSet is an immutable set of codes. The zero value is empty.
type CodeSet struct {
	terms []codeTerm
	texts []string // as they were spelled
}

// codeTerm is a range, or, when octets is not nil, one set of values per
// octet.
type codeTerm struct {
	first, last Code
	octets      *[4]octetSet
}

type octetSet [4]uint64 // bit v is set for value v

func (s *octetSet) add(v int)       { s[v>>6] |= 1 << (v & 63) }
func (s *octetSet) has(v byte) bool { return s[v>>6]>>(v&63)&1 != 0 }
func (s *octetSet) meets(o *octetSet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] != 0
}
func (t codeTerm) contains(c Code) bool {
	if t.octets == nil {
		return t.first <= c && c <= t.last
	}
	o := t.octets
	return o[0].has(byte(c>>24)) && o[1].has(byte(c>>16)) && o[2].has(byte(c>>8)) && o[3].has(byte(c))
}

// DefaultListed is what counts as a listing where nothing is known of a list:
// 127.0.0.0/8 less 127.0.0.1, which no proper list answers, and less
// 127.255.255.0/24, with which lists report errors.
func DefaultListed() CodeSet {
	return CodeSet{
		terms: []codeTerm{
			{first: 0x7f000000, last: codeLoopback - 1},
			{first: codeLoopback + 1, last: codeTrouble - 1},
		},
		texts: []string{"127.0.0.0", "127.0.0.2-127.255.254.255"},
	}
}

// ParseCodeSet reads codes in these spellings: one code "127.0.0.2", a range
// "127.0.0.2-127.0.0.11", a CIDR "127.0.1.0/24", Postfix's brackets
// "127.0.[2..15].[0..3]" with alternatives "127.0.0.[2;4..7]", and bits
// "127.0.0.&8": any code whose last octet has one of the bits of 8. All of a
// set lies in 127.0.0.0/8, since everything else is an error of the list.
func ParseCodeSet(spellings []string) (CodeSet, error) {
	var set CodeSet
	for _, s := range spellings {
		t, err := parseCodeTerm(s)
		if err != nil {
			return CodeSet{}, err
		}
		set.terms = append(set.terms, t)
		set.texts = append(set.texts, s)
	}
	return set, nil
}

// Contains reports whether c is in the set. It does not allocate.
func (s CodeSet) Contains(c Code) bool {
	for _, t := range s.terms {
		if t.contains(c) {
			return true
		}
	}
	return false
}

// Meets reports whether some code is in both sets.
func (s CodeSet) Meets(o CodeSet) bool {
	return slices.ContainsFunc(s.terms, func(t codeTerm) bool { return slices.ContainsFunc(o.terms, t.meets) })
}

func (t codeTerm) meets(o codeTerm) bool {
	switch {
	case t.octets == nil && o.octets == nil:
		return t.first <= o.last && o.first <= t.last
	case t.octets == nil:
		return o.meets(t)
	case o.octets == nil:
		c := o.first
		for c <= o.last && !t.contains(c) {
			c++
		}
		return c <= o.last
	}
	for i, set := range t.octets {
		if !set.meets(&o.octets[i]) {
			return false
		}
	}
	return true
}

// Names reports whether c is in the set by itself, and not as one of a range or
// of a pattern, which may hold it by accident.
func (s CodeSet) Names(c Code) bool {
	return slices.Contains(s.terms, codeTerm{first: c, last: c})
}

// Span returns the least and the greatest code of a set that was made of one
// spelling, and how many codes it holds.
func (s CodeSet) Span() (first, last Code, size int) {
	t := s.terms[0]
	if t.octets == nil {
		return t.first, t.last, int(t.last-t.first) + 1
	}
	size = 1
	for _, set := range t.octets {
		n, least, most := 0, Code(0), Code(0)
		for v := range Code(256) {
			if set.has(byte(v)) {
				if most = v; n == 0 {
					least = v
				}
				n++
			}
		}
		first, last, size = first<<8|least, last<<8|most, size*n
	}
	return first, last, size
}

// Empty reports whether the set was made of no spelling at all.
func (s CodeSet) Empty() bool { return len(s.terms) == 0 }

// Strings returns the spellings that the set was made of.
func (s CodeSet) Strings() []string { return append([]string(nil), s.texts...) }

// String returns the spellings, separated by commas.
func (s CodeSet) String() string { return strings.Join(s.texts, ", ") }

func parseCodeTerm(s string) (codeTerm, error) {
	var t codeTerm
	var err error
	switch {
	case strings.ContainsAny(s, "[]&"):
		t, err = parseOctets(s)
	case strings.Contains(s, "/"):
		t, err = parseCodePrefix(s)
	case strings.Contains(s, "-"):
		t, err = parseCodeRange(s)
	default:
		t.first, err = ParseCode(s)
		t.last = t.first
		if err != nil {
			return t, err // names s already
		}
	}
	if err != nil {
		return t, fmt.Errorf("codes %q: %w", s, err)
	}
	if t.octets == nil && !(t.first.Loopback() && t.last.Loopback()) {
		return t, fmt.Errorf("codes %q: %w", s, errOutside)
	}
	return t, nil
}

var (
	errOutside = errors.New("outside 127.0.0.0/8, where every code of a list is")
	errOctets  = errors.New("not four octets; write 127.0.0.[2..11] or 127.0.0.&8")
)

func parseCodePrefix(s string) (codeTerm, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return codeTerm{}, errors.New("not a CIDR such as 127.0.1.0/24")
	}
	if m := p.Masked(); m != p {
		return codeTerm{}, fmt.Errorf("host bits are set; write %s or %s", m, p.Addr())
	}
	first := CodeFromAddr(p.Addr())
	return codeTerm{first: first, last: first | Code(uint64(1)<<(32-p.Bits())-1)}, nil
}

func parseCodeRange(s string) (codeTerm, error) {
	from, to, _ := strings.Cut(s, "-")
	first, err := ParseCode(strings.TrimSpace(from))
	if err != nil {
		return codeTerm{}, err
	}
	last, err := ParseCode(strings.TrimSpace(to))
	if err != nil {
		return codeTerm{}, err
	}
	if last < first {
		return codeTerm{}, fmt.Errorf("reversed range; write %s-%s", last, first)
	}
	return codeTerm{first: first, last: last}, nil
}

// parseOctets reads the spellings that speak of octets one by one. The dots
// between octets are those outside brackets.
func parseOctets(s string) (codeTerm, error) {
	var sets [4]octetSet
	rest := s + "." // so that each of them ends with one
	for i := range sets {
		field, bracket := strings.CutPrefix(rest, "[")
		end, add := ".", addOctet
		if bracket {
			end, add = "]", addAlternatives
		}
		field, after, ok := strings.Cut(field, end)
		switch {
		case bracket && !ok:
			return codeTerm{}, errors.New("bracket without an end")
		case bracket:
			after, ok = strings.CutPrefix(after, ".")
		}
		if !ok {
			return codeTerm{}, errOctets
		}
		if err := add(&sets[i], field); err != nil {
			return codeTerm{}, err
		}
		rest = after
	}
	if rest != "" {
		return codeTerm{}, errOctets
	}
	if sets[0] != (octetSet{1: 1 << 63}) {
		return codeTerm{}, errOutside
	}
	return codeTerm{octets: &sets}, nil
}

// addOctet adds one value, or the values that have one of the bits of "&8".
func addOctet(set *octetSet, field string) error {
	mask, isMask := strings.CutPrefix(field, "&")
	v, err := octet(mask)
	switch {
	case err != nil:
		return err
	case !isMask:
		set.add(v)
		return nil
	case v == 0:
		return errors.New("&0 tests no bit")
	}
	for i := range 256 {
		if i&v != 0 {
			set.add(i)
		}
	}
	return nil
}

// addAlternatives adds what stands in brackets: values and ranges "2..15",
// separated by semicolons, as in Postfix's reject_rbl_client.
func addAlternatives(set *octetSet, field string) error {
	for alt := range strings.SplitSeq(field, ";") {
		from, to, isRange := strings.Cut(alt, "..")
		first, err := octet(from)
		if err != nil {
			return err
		}
		last := first
		if isRange {
			if last, err = octet(to); err != nil {
				return err
			}
		}
		if last < first {
			return fmt.Errorf("reversed range; write [%d..%d]", last, first)
		}
		for v := first; v <= last; v++ {
			set.add(v)
		}
	}
	return nil
}

func octet(s string) (int, error) {
	v, err := strconv.ParseUint(s, 10, 8)
	if err != nil || s[0] == '0' && len(s) > 1 {
		return 0, fmt.Errorf("%q is not an octet from 0 to 255", s)
	}
	return int(v), nil
}
