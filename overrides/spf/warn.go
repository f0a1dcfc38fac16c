package spf

import (
	"fmt"
	"math/big"
)

// Above these figures the addresses belong to many senders: 65,536 IPv4
// addresses, or as many IPv6 networks of /64.
const (
	wide4     = 1 << 16
	wideBits6 = 128 - 48
)

// maxWideRanges bounds how many ranges Warnings names one by one.
const maxWideRanges = 8

// Warnings tells an administrator what to think about before trusting the
// domain, beside Problems and Live: ranges that many senders share, and terms
// that RFC 7208 advises against or that do nothing. The order is stable.
func (m *Map) Warnings() []string {
	out := m.warnWide()
	seen := make(map[string]bool)
	m.Tree.walk(func(n *Node) {
		if n.Record == "" || seen[n.Domain] {
			return
		}
		seen[n.Domain] = true
		for _, w := range recordWarnings(n.Record) {
			out = append(out, n.Domain+": "+w)
		}
	})
	return out
}

func (m *Map) warnWide() []string {
	var out []string
	if m.Pass4 > wide4 {
		out = append(out, fmt.Sprintf("%s IPv4 addresses pass: so many are shared by many senders", figure(m.Pass4)))
	}
	if isWide(m.Pass6, true) {
		nets := new(big.Int).Rsh(m.Pass6, 64)
		out = append(out, fmt.Sprintf("%s IPv6 networks of /64 pass: so many are shared by many senders", nets))
	}
	named := 0
	for r := range m.Ranges() {
		if r.Result != Pass || !isWide(r.Size(), r.First.Is6()) {
			continue
		}
		if named++; named > maxWideRanges {
			out = append(out, "more ranges are as wide as these")
			break
		}
		out = append(out, fmt.Sprintf("wide range: %s to %s", r.First, r.Last))
	}
	return out
}

// isWide compares a number of addresses with the figures above.
func isWide(n *big.Int, six bool) bool {
	most := big.NewInt(wide4)
	if six {
		most.Lsh(big.NewInt(1), wideBits6)
	}
	return n.Cmp(most) > 0
}

// recordWarnings looks at one record by itself.
func recordWarnings(text string) []string {
	r, err := Parse(text)
	if err != nil {
		return nil
	}
	var out []string
	warn := func(t *Term, what string) { out = append(out, fmt.Sprintf("%q %s", t.Text, what)) }
	for i := range r.terms {
		if t := &r.terms[i]; t.Kind == KindUnknown && !kindOf(t.name).Modifier() {
			warn(t, `is an unknown modifier and does nothing; write ":" for "="`)
		}
	}
	all := false
	for i := range r.terms {
		t := &r.terms[i]
		switch {
		case t.Kind.Modifier():
		case all:
			warn(t, `stands behind "all" and is never reached`)
		case t.Kind == KindAll && t.Qualifier == Pass:
			warn(t, "lets every address pass that is not refused before")
		case t.Kind == KindPTR:
			warn(t, "should not be used: slow and unreliable (RFC 7208, section 5.5)")
		case t.spec.uses("p"):
			warn(t, "should not use %{p} (RFC 7208, section 7.3)")
		case t.Network.IsValid() && onlyMapped(t.Network):
			warn(t, "never matches: write IPv4 addresses as ip4")
		case t.hostBits:
			warn(t, fmt.Sprintf("has host bits and means %s", t.Network))
		}
		all = all || t.Kind == KindAll
	}
	if r.redirect != nil && all {
		warn(r.redirect, `is ignored beside "all" (RFC 7208, section 5.1)`)
	}
	return out
}

// walk calls f for the node and all below, each domain's include in order.
func (n *Node) walk(f func(*Node)) {
	f(n)
	for i := range n.Uses {
		if below := n.Uses[i].Node; below != nil {
			below.walk(f)
		}
	}
}

// figure writes a number with commas.
func figure(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
