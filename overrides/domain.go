package overrides

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Domain is one domain entry: the name itself and, if Below, every name
// beneath it.
type Domain struct {
	Name  string // lower case A-labels, without leading or trailing dot
	Below bool
}

// String writes the entry as ParseDomain reads it.
func (d Domain) String() string {
	if d.Below {
		return "." + d.Name
	}
	return d.Name
}

// ParseDomain reads "example.com" (that name only) or ".example.com" (the
// name and all below it). A name in Unicode is turned into A-labels.
func ParseDomain(s string) (Domain, error) {
	s = strings.TrimSpace(s)
	name, below := strings.CutPrefix(s, ".")
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		return Domain{}, fmt.Errorf("%q has a wildcard; write .%s for the domain and all below it", s, rest)
	}
	name, err := canonical(name, "example.com, or .example.com for all below it too")
	if err != nil {
		return Domain{}, fmt.Errorf("%q %w", s, err)
	}
	return Domain{Name: name, Below: below}, nil
}

// ParseHost reads the name of one host, domain or zone: "example.com".
func ParseHost(s string) (string, error) {
	s = strings.TrimSpace(s)
	for _, prefix := range []string{".", "*."} {
		if rest, ok := strings.CutPrefix(s, prefix); ok && rest != "" {
			return "", fmt.Errorf("%q begins with %q; write %s", s, prefix, rest)
		}
	}
	name, err := canonical(s, "example.com")
	if err != nil {
		return "", fmt.Errorf("%q %w", s, err)
	}
	return name, nil
}

// canonical is name in lower case, without the trailing dot and in A-labels. An
// error goes on after the name, and ends with what it is to be like.
func canonical(name, like string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !ascii(name) {
		a, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("is no internationalized domain name; write its xn-- form")
		}
		name = a
	}
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("is no domain name (%w); write it like %s", err, like)
	}
	return name, nil
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// checkName says what keeps name, lower case and without trailing dot, from
// being a host-like domain name (RFC 1035, section 2.3.4; underscores are in
// use). A slip in an address, such as 192.0.2.x, is no domain.
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("it is empty")
	}
	if len(name) > 253 {
		return fmt.Errorf("it is longer than 253 bytes")
	}
	labels := strings.Split(name, ".")
	numbers := 0
	for _, l := range labels {
		if err := checkLabel(l); err != nil {
			return err
		}
		if strings.Trim(l, "0123456789") == "" {
			numbers++
		}
	}
	last := labels[len(labels)-1]
	switch {
	case strings.Trim(last, "0123456789") == "":
		return fmt.Errorf("its last label is a number")
	case len(labels) == 4 && numbers == 3:
		return fmt.Errorf("it looks like an address with a slip")
	case len(labels) < 2:
		return fmt.Errorf("it has one label only")
	}
	return nil
}

func checkLabel(l string) error {
	if l == "" {
		return fmt.Errorf("a label is empty")
	}
	if len(l) > 63 {
		return fmt.Errorf("a label is longer than 63 bytes")
	}
	for i := range len(l) {
		c := l[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return fmt.Errorf("%q does not belong in a name", c)
		}
	}
	if l[0] == '-' || l[len(l)-1] == '-' {
		return fmt.Errorf("a label begins or ends with a hyphen")
	}
	return nil
}

// wireName returns the length-prefixed labels of a checked name, without the
// root's zero byte.
func wireName(name string) string {
	b := make([]byte, 0, len(name)+1)
	for l := range strings.SplitSeq(name, ".") {
		b = append(b, byte(len(l)))
		b = append(b, l...)
	}
	return string(b)
}
