// Package rbl knows the language of DNS blocklists (RFC 5782): how an address
// or a domain name becomes the name that a list is asked about and back, what
// the addresses mean that a list answers with, and which well-known lists
// there are.
//
// A subject is what a list is asked about. The address 192.0.2.99 in the zone
// bl.example becomes
//
//	99.2.0.192.bl.example
//
// an IPv6 address becomes 32 nibbles, least significant first, and a domain
// name is put in front of the zone as it is. An IPv4-mapped address stays
// IPv6, because ::ffff:7f00:2 is a test entry of its own (RFC 5782, section
// 5); callers that compare it with IPv4 rules unmap it first.
//
// The package says what a code means, in a list's own words, and whether it is
// one of the codes with which lists report trouble of their own. It does not
// decide what an MTA is told: exemptions, modes and failures are the
// resolver's business. It does no I/O; its table of lists is embedded.
package rbl

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Shape says what kind of name stands left of the zone.
type Shape uint8

const (
	// Invalid is a name that no list can hold: an octet above 255, a leading
	// zero, five octets, a byte that no host or domain name has.
	Invalid Shape = iota

	// Apex is the zone's own name.
	Apex

	// Partial is an incomplete reversed address. Such a name exists and owns
	// nothing, so the answer is NODATA (an empty non-terminal).
	Partial

	// IP4, IP6 and Domain are subjects.
	IP4
	IP6
	Domain
)

// String returns "invalid", "apex", "partial", "ip4", "ip6" or "domain".
func (s Shape) String() string {
	return [...]string{"invalid", "apex", "partial", "ip4", "ip6", "domain"}[s]
}

// Holds is the set of shapes that a list knows, a bit each. It knows no shape
// that is not a subject.
type Holds uint8

// The three things a list can hold.
const (
	HoldsIP4    Holds = 1 << IP4
	HoldsIP6    Holds = 1 << IP6
	HoldsDomain Holds = 1 << Domain

	HoldsAll = HoldsIP4 | HoldsIP6 | HoldsDomain
)

// ParseHolds reads the words "ip4", "ip6" and "domain".
func ParseHolds(words []string) (Holds, error) {
	var h Holds
	for _, w := range words {
		s := IP4
		for s <= Domain && s.String() != w {
			s++
		}
		if s > Domain {
			return 0, fmt.Errorf("%q is none of ip4, ip6, domain", w)
		}
		h |= 1 << s
	}
	return h, nil
}

// Has reports whether a list that holds h knows subjects of shape s.
func (h Holds) Has(s Shape) bool { return h>>s&1 != 0 }

// Strings returns the words that ParseHolds reads.
func (h Holds) Strings() []string {
	var out []string
	for s := IP4; s <= Domain; s++ {
		if h.Has(s) {
			out = append(out, s.String())
		}
	}
	return out
}

// TestEntry marks the names that exist for testing a list (RFC 5782, section
// 5).
type TestEntry uint8

const (
	// NotTest is every ordinary subject.
	NotTest TestEntry = iota

	// TestListed must be listed: 127.0.0.2, ::FFFF:7F00:2, TEST.
	TestListed

	// TestUnlisted must not be listed: 127.0.0.1, ::FFFF:7F00:1, INVALID.
	TestUnlisted
)

// Subject is what a list is asked about. It is a value and may be compared.
type Subject struct {
	Shape Shape
	Test  TestEntry

	// Addr is set for IP4 and IP6, never with a zone, never unmapped.
	Addr netip.Addr

	// Domain is in lower case without a trailing dot. ParseLabels leaves it
	// empty, because its caller has the bytes; DomainText makes it of them.
	Domain string
}

// AddrSubject returns the subject of an address. A zone in it is dropped; an
// IPv4-mapped address is an IPv6 subject.
func AddrSubject(a netip.Addr) Subject {
	switch {
	case a.Is4():
		return Subject{Shape: IP4, Addr: a, Test: test4(a.As4())}
	case a.Is6():
		a = a.WithZone("")
		return Subject{Shape: IP6, Addr: a, Test: test6(a.As16())}
	}
	return Subject{}
}

// ParseSubject reads what a person types: an IPv4 or IPv6 address, or a domain
// name with or without a trailing dot, in any case.
func ParseSubject(text string) (Subject, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return Subject{}, fmt.Errorf("%q has a zone; no list knows link-local addresses", text)
		}
		return AddrSubject(a), nil
	}
	domain := strings.ToLower(text)
	name, err := AppendName(nil, domain)
	if err != nil {
		return Subject{}, fmt.Errorf("%q is neither an address nor a domain name: %w", text, err)
	}
	s := ParseLabels(name[:len(name)-1], HoldsDomain)
	if s.Shape != Domain {
		return Subject{}, fmt.Errorf("%q is neither an address nor a domain name", text)
	}
	s.Domain = strings.TrimSuffix(domain, ".")
	return s, nil
}

// String returns the address or the domain, "" for anything else.
func (s Subject) String() string {
	switch s.Shape {
	case IP4, IP6:
		return s.Addr.String()
	case Domain:
		return s.Domain
	}
	return ""
}

// Name returns the name to ask about s in zone, as text without a trailing
// dot: "99.2.0.192.bl.example". Of a shape that is no subject it returns the
// zone.
func (s Subject) Name(zone string) string {
	labels := s.AppendWire(nil)
	if len(labels) == 0 {
		return zone
	}
	return DomainText(labels) + "." + zone
}

// AppendWire appends the labels of s in wire form, each with its length in
// front, without the zone and the root. It appends nothing for a shape that is
// no subject, nor for a Domain that ParseSubject would refuse.
func (s Subject) AppendWire(dst []byte) []byte {
	switch s.Shape {
	case IP4:
		a := s.Addr.As4()
		for i := 3; i >= 0; i-- {
			at := len(dst)
			dst = strconv.AppendUint(append(dst, 0), uint64(a[i]), 10)
			dst[at] = byte(len(dst) - at - 1)
		}
	case IP6:
		a := s.Addr.As16()
		for i := 15; i >= 0; i-- {
			dst = append(dst, 1, hexDigits[a[i]&15], 1, hexDigits[a[i]>>4])
		}
	case Domain:
		if out, err := AppendName(dst, s.Domain); err == nil {
			return out[:len(out)-1]
		}
	}
	return dst
}

// Phase says how far the question to a list has come.
type Phase uint8

const (
	Outstanding Phase = iota // no answer yet
	Answered                 // it answered; no codes mean that it lists nothing
	Failed                   // it could not be asked, or the answer is no answer
)

// Answer is what is known of what a list says of a subject. The zero value is
// one that is outstanding.
type Answer struct {
	Phase Phase
	Codes []Code // that count
}

const hexDigits = "0123456789abcdef"
