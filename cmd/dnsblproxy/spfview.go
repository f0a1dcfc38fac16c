package main

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"

	"dnsblproxy/overrides"
	"dnsblproxy/overrides/spf"
)

// spfView is a compiled record for people and for JSON. Times are seconds.
type spfView struct {
	Domain    string        `json:"domain"`
	Ranges    []spf.Range   `json:"ranges"` // each family once from end to end
	Live      []spf.Step    `json:"live"`
	Totals    spfTotals     `json:"totals"`
	Lookups   int           `json:"lookups"` // of the ten allowed
	Questions int           `json:"questions"`
	TTL       int           `json:"ttl"`
	Problems  []spf.Problem `json:"problems"`
	Warnings  []string      `json:"warnings"`
	Tree      *spf.Node     `json:"tree,omitempty"`
}

// spfTotals counts addresses. Those of IPv6 are decimal, as they do not fit a
// JSON number.
type spfTotals struct {
	Pass4 uint64 `json:"pass_v4"`
	Live4 uint64 `json:"live_v4"`
	Pass6 string `json:"pass_v6"`
	Live6 string `json:"live_v6"`

	pass6, live6 *big.Int
}

func spfViewOf(m *spf.Map) *spfView {
	v := &spfView{
		Domain: m.Domain(), Lookups: m.Lookups, Questions: m.Questions, TTL: int(m.TTL.Seconds()),
		Ranges: slices.Collect(m.Ranges()), Live: append([]spf.Step{}, m.Live...), Tree: m.Tree,
		Problems: append([]spf.Problem{}, m.Problems...), Warnings: []string{},
		Totals: spfTotals{Pass4: m.Pass4, Live4: m.Live4, Pass6: m.Pass6.String(), Live6: m.Live6.String(), pass6: m.Pass6, live6: m.Live6},
	}
	v.warn(m)
	return v
}

func (v *spfView) warn(m *spf.Map) {
	const guard4, guard6 = 12, 28 // defaults of max_v4 and max_v6
	four, six := m.Exceeds(guard4, guard6)
	if four {
		v.Warnings = append(v.Warnings, fmt.Sprintf("more IPv4 addresses pass (%d) than a /%d holds; a rule refuses that unless max_v4 is raised", m.Pass4, guard4))
	}
	if six {
		v.Warnings = append(v.Warnings, fmt.Sprintf("more IPv6 addresses pass (%s) than a /%d holds; a rule refuses that unless max_v6 is raised", power(m.Pass6), guard6))
	}
	v.Warnings = append(v.Warnings, m.Warnings()...)
	if m.Lookups > 10 {
		v.Warnings = append(v.Warnings, fmt.Sprintf("some addresses need %d lookups of the 10 that RFC 7208 allows", m.Lookups))
	}
}

// power prints large numbers as powers of two where they are, or nearly.
func power(n *big.Int) string {
	if n.BitLen() <= 33 {
		return n.String()
	}
	if n.TrailingZeroBits() == uint(n.BitLen()-1) {
		return fmt.Sprintf("2^%d", n.BitLen()-1)
	}
	return fmt.Sprintf("about 2^%d", n.BitLen()-1)
}

// print writes it for people: the sum, the tree, the ranges that matter.
func (v *spfView) print(a *app) error {
	fmt.Fprintf(a.out, "%s authorizes %d IPv4 and %s IPv6 addresses; %d of 10 lookups, %d DNS questions, TTL %ds\n",
		v.Domain, v.Totals.Pass4, power(v.Totals.pass6), v.Lookups, v.Questions, v.TTL)
	if v.Totals.Live4 > 0 || v.Totals.live6.Sign() > 0 {
		fmt.Fprintf(a.out, "%d IPv4 and %s IPv6 addresses have to be asked about one at a time (live):\n", v.Totals.Live4, power(v.Totals.live6))
		for _, l := range v.Live {
			fmt.Fprintf(a.out, "  %s: %s\n", l.Domain, l.Term)
		}
	}
	fmt.Fprintln(a.out)
	a.printTree(v.Tree, 0)
	fmt.Fprintln(a.out)
	err := a.table(func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "RANGE\tADDRESSES\tRESULT\n")
		for _, r := range v.Ranges {
			switch r.Result {
			case spf.Fail, spf.SoftFail, spf.Neutral, spf.None: // not authorized: what remains
			default:
				fmt.Fprintf(w, "%s\t%s\t%s\n", overrides.Range{First: r.First, Last: r.Last}, power(r.Size()), r.Result)
			}
		}
	})
	for _, p := range v.Problems {
		fmt.Fprintf(a.out, "%s: %s\n", p.Result, p.Why)
	}
	for _, text := range v.Warnings {
		fmt.Fprintf(a.out, "warning: %s\n", text)
	}
	return err
}

// printTree writes the tree of includes, two blanks for each level.
func (a *app) printTree(n *spf.Node, depth int) {
	if n == nil {
		return
	}
	indent := strings.Repeat("  ", depth)
	switch {
	case n.Why != "":
		fmt.Fprintf(a.out, "%s%s  %s\n", indent, n.Domain, n.Why)
	default:
		fmt.Fprintf(a.out, "%s%s  %q  (TTL %ds, lookups %d)\n", indent, n.Domain, n.Record, n.TTL, n.Lookups)
	}
	for _, u := range n.Uses {
		text := u.Term
		switch {
		case u.Live:
			text += "  (live)"
		case !u.Asked:
			text += "  (never reached)"
		case u.Why != "":
			text += "  (" + u.Why + ")"
		case len(u.Addrs) > 0:
			text += fmt.Sprintf("  %s  (TTL %ds)", strings.Join(texts(u.Addrs), ", "), u.TTL)
		}
		fmt.Fprintf(a.out, "%s  %s\n", indent, text)
		a.printTree(u.Node, depth+2)
	}
}
