package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const version = "v=spf1"

// IsRecord reports whether a TXT record is an SPF record, well formed or not:
// it begins with the version, which ends at a space or at the end of the
// record, RFC 7208, section 4.5.
func IsRecord(text string) bool {
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// Parse reads a record by the grammar of RFC 7208, section 12, and nothing
// looser. The error joins what is wrong with each term; there is
// no record then, as section 4.6 makes any of them a permerror.
func Parse(text string) (*Record, error) {
	if !IsRecord(text) {
		return nil, fmt.Errorf("record does not begin with %q", version)
	}
	r := &Record{text: text}
	var errs []error
	// Terms are apart by spaces and by nothing else, RFC 7208, section 4.6.1.
	for s := range strings.SplitSeq(text[len(version):], " ") {
		if s == "" {
			continue
		}
		t, err := parseTerm(s)
		if err == nil {
			err = r.add(t)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("term %q: %w", s, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return r, nil
}

// add appends a term and puts it where it is evaluated. It refuses a second
// redirect or exp, RFC 7208, section 6.
func (r *Record) add(t Term) error {
	r.terms = append(r.terms, t)
	last := len(r.steps) - 1
	switch {
	case t.Kind == KindRedirect && r.redirect == nil:
		r.redirect = &t
	case t.Kind == KindExp && r.exp == nil:
		r.exp = &t
	case t.Kind == KindRedirect || t.Kind == KindExp:
		return fmt.Errorf("a record has one %s at most", t.Kind)
	case t.Kind == KindUnknown:
	case last >= 0 && t.Network.IsValid() && r.steps[last][0].Network.IsValid():
		r.steps[last] = append(r.steps[last], t)
	default:
		r.steps = append(r.steps, []Term{t})
	}
	return nil
}

func parseTerm(s string) (Term, error) {
	t := Term{Text: s}
	// RFC 7208, section 4.6.1: a modifier has "=" after its name, before any
	// ":" or "/".
	if i := strings.IndexAny(s, "=:/"); i >= 0 && s[i] == '=' {
		return t, t.parseModifier(s[:i], s[i+1:])
	}
	t.Qualifier = Pass
	if i := strings.IndexByte("+-~?", s[0]); i >= 0 {
		t.Qualifier = [...]Result{Pass, Fail, SoftFail, Neutral}[i]
		s = s[1:]
	}
	name, rest := s, ""
	if i := strings.IndexAny(s, ":/"); i >= 0 {
		name, rest = s[:i], s[i:]
	}
	return t, t.parseMechanism(name, rest)
}

func (t *Term) parseModifier(name, value string) (err error) {
	if name == "" || !isAlpha(name[0]) {
		return errors.New("a modifier's name begins with a letter")
	}
	for i := range len(name) {
		if !isAlphanum(name[i]) && strings.IndexByte("-_.", name[i]) < 0 {
			return fmt.Errorf("character %q is not allowed in a modifier's name", name[i:i+1])
		}
	}
	if t.Kind = kindOf(name); t.Kind == KindRedirect || t.Kind == KindExp {
		return t.parseDomainSpec(value)
	}
	t.Kind, t.name = KindUnknown, name
	t.spec, err = parseMacroString(value, false)
	return err
}

// parseMechanism reads what follows the name: rest begins with ':' or '/', or
// is empty.
func (t *Term) parseMechanism(name, rest string) error {
	switch t.Kind = kindOf(name); t.Kind {
	case KindAll:
		if rest != "" {
			return fmt.Errorf("all takes nothing, not %q", rest)
		}
		return nil
	case KindInclude, KindExists, KindPTR:
		return t.parseTarget(rest)
	case KindA, KindMX:
		return t.parseHost(rest)
	case KindIP4:
		return t.parseNetwork(rest, 32)
	case KindIP6:
		return t.parseNetwork(rest, 128)
	case KindRedirect, KindExp:
		return fmt.Errorf("%s is a modifier; write %q", name, name+"=")
	}
	if slices.Contains([]string{"ip", "ipv4", "ipv6"}, lowerASCII(name)) {
		return fmt.Errorf("unknown mechanism %q; write ip4 or ip6", name)
	}
	return fmt.Errorf("unknown mechanism %q", name)
}

// parseTarget reads ":" domain-spec, which ptr may have or not.
func (t *Term) parseTarget(rest string) error {
	switch {
	case rest == "" && t.Kind == KindPTR:
		return nil
	case rest == "":
		return fmt.Errorf("%s needs a domain; write %q", t.Kind, t.Kind.String()+":DOMAIN")
	case rest[0] != ':':
		return fmt.Errorf("%s takes no prefix length", t.Kind)
	}
	return t.parseDomainSpec(rest[1:])
}

// parseHost reads [ ":" domain-spec ] [ dual-cidr-length ]. A domain-spec may
// hold slashes itself, so the lengths are taken from the end.
func (t *Term) parseHost(rest string) (err error) {
	t.Bits4, t.Bits6 = 32, 128
	if head, digits, ok := cutLength(rest, "//"); ok {
		if t.Bits6, err = parseBits(digits, 128); err != nil {
			return err
		}
		rest = head
	}
	if head, digits, ok := cutLength(rest, "/"); ok {
		if t.Bits4, err = parseBits(digits, 32); err != nil {
			return err
		}
		rest = head
	}
	switch {
	case rest == "":
		return nil
	case rest[0] != ':':
		return fmt.Errorf("%q is no prefix length; write /24, //64 or /24//64", rest)
	}
	return t.parseDomainSpec(rest[1:])
}

// cutLength cuts slash and digits off the end of s.
func cutLength(s, slash string) (head, digits string, ok bool) {
	head = strings.TrimRight(s, "0123456789")
	digits = s[len(head):]
	if digits == "" || !strings.HasSuffix(head, slash) {
		return s, "", false
	}
	return head[:len(head)-len(slash)], digits, true
}

// parseBits reads a prefix length, without leading zeros.
func parseBits(digits string, most int) (int, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > most || digits != strconv.Itoa(n) {
		return 0, fmt.Errorf("prefix length %q is not 0 to %d", digits, most)
	}
	return n, nil
}

// parseNetwork reads ":" network [ "/" length ], RFC 7208, section 5.6.
func (t *Term) parseNetwork(rest string, most int) error {
	if rest == "" || rest[0] != ':' {
		return fmt.Errorf("%s needs a network; write %q", t.Kind, t.Kind.String()+":NETWORK")
	}
	text, digits, hasLength := strings.Cut(rest[1:], "/")
	bits := most
	if hasLength {
		var err error
		if bits, err = parseBits(digits, most); err != nil {
			return err
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.BitLen() != most || a.Zone() != "" {
		return fmt.Errorf("%q is no IPv%s address", text, t.Kind.String()[2:])
	}
	t.Network = netip.PrefixFrom(a, bits).Masked()
	t.hostBits = t.Network.Addr() != a
	return nil
}

// parseDomainSpec reads a domain-spec, RFC 7208, section 7.1: a macro-string
// that ends in a macro or in a top label after a dot.
func (t *Term) parseDomainSpec(s string) (err error) {
	if s == "" {
		return errors.New("the domain is empty")
	}
	if t.spec, err = parseMacroString(s, false); err != nil {
		return err
	}
	if last := t.spec.pieces[len(t.spec.pieces)-1]; !last.expand {
		name := strings.TrimSuffix(last.text, ".")
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 || !isTopLabel(name[dot+1:]) {
			return badEnd(s)
		}
	}
	if name, ok := t.spec.literal(); ok {
		t.target = queryName(name)
	}
	return nil
}

func badEnd(s string) error {
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return fmt.Errorf("%q is an address, no name; write %q", s, "ip4:"+s)
	}
	return fmt.Errorf("%q does not end in a top-level domain or a macro", s)
}

// isTopLabel is toplabel of the grammar: letters and digits with at least one
// letter, or with dashes in the middle.
func isTopLabel(s string) bool {
	special := false
	for i := range len(s) {
		switch c := s[i]; {
		case isAlpha(c):
			special = true
		case c == '-' && i > 0 && i < len(s)-1:
			special = true
		case !isDigit(c):
			return false
		}
	}
	return special
}
