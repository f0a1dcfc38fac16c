package spf

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253 // bytes of a name in text without the last dot
	maxLabel = 63
)

// queryName turns the text of a domain-spec into a name to ask for: lower
// case, without the last dot, and not longer than a name can be. RFC 7208,
// section 7.3: labels are removed from the left until it fits.
func queryName(s string) string {
	s = lowerASCII(strings.TrimSuffix(s, "."))
	for len(s) > maxName {
		_, rest, ok := strings.Cut(s, ".")
		if !ok {
			break
		}
		s = rest
	}
	return s
}

// lowerASCII is what DNS means by lower case: other bytes stay as they are.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// askable reports whether DNS can be asked for the name: no label is empty or
// longer than 63 bytes.
func askable(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return len(name) <= maxName
}

// checkable reports whether check_host() has a domain to work on: RFC 7208,
// section 4.3, wants more than one label.
func checkable(name string) bool {
	return strings.IndexByte(name, '.') >= 0 && askable(name)
}

// ascii returns the name with A-labels for U-labels, RFC 7208, section 4.3.
// An ASCII name, valid or not, comes back as it is, and a name that has no
// A-labels comes back unchanged too: DNS will know nothing of it.
func ascii(name string) string {
	if isASCII(name) {
		return name
	}
	// Underscores are fine here, unlike in host names.
	p := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.BidiRule())
	a, err := p.ToASCII(name)
	if err != nil {
		return name
	}
	return a
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// below reports whether name is domain or a subdomain of it; both lower case.
func below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// dotted is the macro %{i}: an IPv4 address as usual, an IPv6 address as 32
// nibbles, RFC 7208, section 7.3.
func dotted(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	nibbles := fmt.Sprintf("%X", a.AsSlice())
	return strings.Join(strings.Split(nibbles, ""), ".")
}

// arpa returns the name whose PTR records are the names of the address.
func arpa(a netip.Addr) string {
	return lowerASCII(piece{reverse: true}.transform(dotted(a)) + "." + family(a) + ".arpa")
}

// family is the macro %{v}.
func family(a netip.Addr) string {
	if a.Is4() {
		return "in-addr"
	}
	return "ip6"
}
