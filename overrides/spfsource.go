package overrides

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dnsblproxy/overrides/spf"
)

// shared is how many addresses an SPF record may open before people are told
// that so many are never one sender's own.
const shared = 1 << 16

// samples is how many random addresses have to pass a live term for it to be
// refused as too broad.
const samples = 8

// complexPause is when a record that was too complex to compile is tried
// again.
const complexPause = time.Hour

// wholeResult is what a record comes to of which DNS hides nothing.
func wholeResult(ctx context.Context, resolver Resolver, m *spf.Map) *result {
	c := fromMap(m, nil)
	r := &result{content: c, ttl: m.TTL, warnings: warningsOf(m)}
	if c.empty() && (m.Has(spf.PermError) || m.Has(spf.None)) {
		r.content, r.drop, r.lasting = nil, true, true
		r.err = fmt.Errorf("SPF of %q: %s", m.Domain(), reasons(m, spf.PermError, spf.None))
	} else if err := tooBroad(ctx, resolver, m.Domain(), c); err != nil {
		r.content, r.err, r.lasting = c.withoutLive(), err, true
		r.sure = r.content
	}
	return r
}

// unmet returns those of the domains to leave out that nothing in the record leads
// to, none of them if a part of it is unknown.
func unmet(n *spf.Node, except []string) []string {
	if n.Record == "" {
		return nil
	}
	except = slices.DeleteFunc(slices.Clone(except), func(d string) bool { return d == n.Domain })
	for _, u := range n.Uses {
		if u.Node != nil {
			except = unmet(u.Node, except)
		}
	}
	return except
}

// InVain returns, each as a *Problem, the exceptions that leave out what is known
// to be in no SPF record of their rule.
func (e *Engine) InVain() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []error
	for _, r := range e.rules {
		out = append(out, e.inVain(r)...)
	}
	return out
}

// inVain is InVain for one rule. The caller holds mu.
func (e *Engine) inVain(r *Rule) (out []error) {
	for _, d := range exceptSPF(r) {
		met := func(s *source) bool { return s.rule == r && s.key.kind == KindSPF && !slices.Contains(s.unmet, d) }
		if !slices.ContainsFunc(e.sources, met) {
			out = append(out, r.problem("except", "spf:"+d, fmt.Sprintf("spf:%s is in no SPF record of the rule, so that nothing is taken out; mend it, or remove it", d)))
		}
	}
	return out
}

// fromMap takes what passes from m, and where m is unknown for now, what was
// open before.
func fromMap(m *spf.Map, prev *content) *content {
	var pass, live, temp []Range
	for r := range m.Ranges() {
		rg := Range{r.First, r.Last}
		switch r.Result {
		case spf.Pass:
			pass = append(pass, rg)
		case spf.Live:
			live = append(live, rg)
		case spf.TempError:
			temp = append(temp, rg)
		}
	}
	if len(temp) > 0 {
		at := contentOfRanges(temp, nil)
		pass = append(pass, at.within(prev.rangesOf(false))...)
		live = append(live, at.within(prev.rangesOf(true))...)
	}
	return contentOfRanges(pass, live)
}

// within returns the parts of ranges that the fixed layer of c holds.
func (c *content) within(ranges []Range) []Range {
	o := contentOfRanges(ranges, nil)
	var out []Range
	for _, y := range c.layers {
		for _, z := range o.layers {
			meet(y.v4, z.v4, func(lo, hi v4) { out = append(out, Range{lo.addr(), hi.addr()}) })
			meet(y.v6, z.v6, func(lo, hi v6) { out = append(out, Range{lo.addr(), hi.addr()}) })
		}
	}
	return out
}

func (c *content) withoutLive() *content {
	out := &content{domains: c.domains}
	for _, y := range c.layers {
		if !y.live {
			out.layers = append(out.layers, y)
		}
	}
	return out
}

// tooBroad refuses live terms that pass for each of eight random addresses of
// a family: a name server that says yes to everything vouches for nobody. Small
// ranges are left out, because eight neighbours that pass are nothing broad.
func tooBroad(ctx context.Context, r Resolver, domain string, c *content) error {
	for _, six := range []bool{false, true} {
		wide := slices.DeleteFunc(c.rangesOf(true), func(r Range) bool {
			return r.First.Is6() != six || r.size().Cmp(big.NewInt(256)) <= 0
		})
		if len(wide) > 0 && allPass(ctx, r, domain, wide) {
			return fmt.Errorf("SPF of %q: its terms that depend on the address pass for each of %d random ones; they are refused as too broad", domain, samples)
		}
	}
	return nil
}

// allPass asks about random addresses of random ranges.
func allPass(ctx context.Context, r Resolver, domain string, ranges []Range) bool {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout/4)
	defer cancel()
	for range samples {
		a := ranges[mrand.IntN(len(ranges))].random()
		if spf.CheckHost(ctx, r, spf.Query{Addr: a, Domain: domain}).Result != spf.Pass {
			return false
		}
	}
	return true
}

func (r Range) size() *big.Int { return spf.Range{First: r.First, Last: r.Last}.Size() }

// random returns an address of the range.
func (r Range) random() netip.Addr {
	n, _ := rand.Int(rand.Reader, r.size()) // which never fails
	n.Add(n, new(big.Int).SetBytes(r.First.AsSlice()))
	a, _ := netip.AddrFromSlice(n.FillBytes(r.First.AsSlice()))
	return a
}

// reasons joins why m has these results.
func reasons(m *spf.Map, results ...spf.Result) string {
	var out []string
	for _, p := range m.Problems {
		if slices.Contains(results, p.Result) {
			out = append(out, p.Result.String()+": "+p.Why)
		}
	}
	if len(out) == 0 {
		return results[0].String()
	}
	return strings.Join(out, "; ")
}

func warningsOf(m *spf.Map) []string {
	var out []string
	if m.Pass4 > shared {
		out = append(out, fmt.Sprintf("spf %s opens %d IPv4 addresses; so many are shared by many senders", m.Domain(), m.Pass4))
	}
	for _, s := range m.Live {
		out = append(out, fmt.Sprintf("spf %s: %s of %s is evaluated for one address at a time, when a list has it", m.Domain(), s.Term, s.Domain))
	}
	for _, p := range m.Problems {
		if p.Result == spf.PermError {
			out = append(out, fmt.Sprintf("spf %s: permerror for some addresses: %s", m.Domain(), p.Why))
		}
	}
	return out
}
