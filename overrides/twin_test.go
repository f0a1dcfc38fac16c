package overrides

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"
)

// slowTable is the definition of a Table: a list of everything, looked
// through from the beginning. It is meant to be read, not run.
type slowTable struct {
	rules []slowRule
	zones []string
}

type slowRule struct {
	rule    Rule
	sources [][]Entry // in the order in which they match
	except  []Range
}

// first returns "rule/source/line" of the first match, "" if there is none.
func (s slowTable) first(match func(Entry) bool, addr netip.Addr, action Action, zone string, now int64) string {
	for _, r := range s.rules {
		if r.rule.Action != action || !r.rule.Enabled || ended(r.rule.end(), now) || !inScope(r.rule, zone) || holds(r.except, addr) {
			continue
		}
		for i, src := range r.sources {
			for _, e := range src {
				if match(e) && !ended(endOf(e.Until), now) {
					return fmt.Sprintf("%s/%d/%d", r.rule.Name, i, e.Line)
				}
			}
		}
	}
	return ""
}

func inScope(r Rule, zone string) bool {
	return len(r.Zones) == 0 || slices.Contains(r.Zones, zone)
}

func holds(ranges []Range, a netip.Addr) bool {
	for _, r := range ranges {
		if a.IsValid() && r.First.Is4() == a.Is4() && !a.Less(r.First) && !r.Last.Less(a) {
			return true
		}
	}
	return false
}

func (s slowTable) lookup(a netip.Addr, action Action, zone string, now int64) string {
	a = a.Unmap().WithZone("")
	return s.first(func(e Entry) bool {
		return e.Domain.Name == "" && holds([]Range{e.Range}, a)
	}, a, action, zone, now)
}

func (s slowTable) lookupDomain(name string, action Action, zone string, now int64) string {
	return s.first(func(e Entry) bool {
		d := e.Domain
		return d.Name != "" && (name == d.Name || d.Below && strings.HasSuffix(name, "."+d.Name))
	}, netip.Addr{}, action, zone, now)
}

// table compiles the same rules the fast way.
func (s slowTable) table(now int64) *Table {
	var rules []loaded
	for _, r := range s.rules {
		l := loaded{rule: &r.rule}
		for i, entries := range r.sources {
			l.sources = append(l.sources, loadedSource{sourceOf(KindFile, fmt.Sprint(i)), contentOf(entries)})
		}
		if len(r.except) > 0 {
			l.except = contentOfRanges(r.except, nil)
		}
		rules = append(rules, l)
	}
	return build(rules, now)
}

// fact writes a hit as slowTable does.
func fact(h Hit, ok bool) string {
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s/%s/%d", h.Rule.Name, h.Source.Name, h.Line)
}

// compare asks both tables about everything and wants the same answers.
func (s slowTable) compare(t *testing.T, built int64, addrs []netip.Addr, names []string) {
	t.Helper()
	table := s.table(built)
	midnight := int64(endOf(time.Unix(built, 0))) // when entries until today end
	for _, now := range []int64{built, midnight - 1, midnight, built + 3*86400, built + 400*86400, built - 3*86400} {
		for _, zone := range append([]string{"elsewhere.example"}, s.zones...) {
			for _, a := range addrs {
				set := table.Lookup(a)
				if got, want := fact(set.Allow(zone, now)), s.lookup(a, Allow, zone, now); got != want {
					t.Fatalf("Lookup(%v).Allow(%s, %d) = %q, want %q\n%+v", a, zone, now, got, want, s.rules)
				}
				if got, want := fact(set.Deny(zone, now)), s.lookup(a, Deny, zone, now); got != want {
					t.Fatalf("Lookup(%v).Deny(%s, %d) = %q, want %q\n%+v", a, zone, now, got, want, s.rules)
				}
			}
			for _, n := range names {
				set := table.LookupDomain([]byte(wireName(n) + "\x00"))
				if got, want := fact(set.Allow(zone, now)), s.lookupDomain(n, Allow, zone, now); got != want {
					t.Fatalf("LookupDomain(%s).Allow(%s, %d) = %q, want %q\n%+v", n, zone, now, got, want, s.rules)
				}
			}
		}
	}
}

const testNow = 1_800_000_000 // 2027-01-15

// dice makes rules and questions from a stream of bytes: small numbers, so
// that ranges meet, touch and nest.
type dice struct {
	next func() byte
}

func (d dice) n(n int) int { return int(d.next()) % n }

// addr returns one of few addresses, at the edges of the families too.
func (d dice) addr() netip.Addr {
	n := uint32(d.n(24))
	switch d.n(8) {
	case 0:
		return v4(^uint32(0) - n).addr()
	case 1:
		return v4(n).addr()
	case 2:
		return v6{^uint64(0), ^uint64(0) - uint64(n)}.addr()
	case 3:
		return v6{0x20010db800000000, ^uint64(0) - 8}.addr().Next()
	case 4:
		return v6{0x20010db8_00000000 + uint64(n>>3), uint64(n & 7)}.addr()
	}
	return v4(0x0a00fff0 + n).addr()
}

func (d dice) rng() Range {
	a, b := d.addr(), d.addr()
	if a.Is4() != b.Is4() {
		b = a
	}
	if b.Less(a) {
		a, b = b, a
	}
	return Range{a, b}
}

var testNames = []string{"example.com", "a.example.com", "b.a.example.com", "xample.com", "example.net", "com.example", "aexample.com"}

func (d dice) entry(line int) Entry {
	e := Entry{Line: line}
	if d.n(4) == 0 {
		e.Domain = Domain{testNames[d.n(len(testNames))], d.n(2) == 0}
	} else {
		e.Range = d.rng()
	}
	switch d.n(5) {
	case 0:
		e.Until = time.Unix(testNow, 0).AddDate(0, 0, d.n(4)-1)
	case 1:
		e.Until = time.Unix(testNow, 0).AddDate(0, 0, 100)
	}
	return e
}

func (d dice) table() slowTable {
	s := slowTable{zones: []string{"one.example", "two.example"}}
	for i := range 1 + d.n(4) {
		r := slowRule{rule: Rule{Name: fmt.Sprint("r", i), Action: Action(d.n(3) / 2), Enabled: d.n(8) > 0}}
		if d.n(3) == 0 {
			r.rule.Zones = []string{s.zones[d.n(2)]}
		}
		if d.n(6) == 0 {
			r.rule.Expires = time.Unix(testNow, 0).AddDate(0, 0, d.n(3)-1)
		}
		for range d.n(3) {
			r.except = append(r.except, d.rng())
		}
		for range 1 + d.n(3) {
			var entries []Entry
			for line := range d.n(7) {
				entries = append(entries, d.entry(line+1))
			}
			r.sources = append(r.sources, entries)
		}
		s.rules = append(s.rules, r)
	}
	return s
}

// questions are the edges of all ranges, their neighbours and some more.
func (s slowTable) questions(d dice) []netip.Addr {
	out := []netip.Addr{{}, netip.MustParseAddr("::ffff:10.0.255.250"), netip.MustParseAddr("fe80::1%eth0")}
	for range 10 {
		out = append(out, d.addr())
	}
	edge := func(r Range) {
		for _, a := range []netip.Addr{r.First.Prev(), r.First, r.Last, r.Last.Next()} {
			if a.IsValid() {
				out = append(out, a)
			}
		}
	}
	for _, r := range s.rules {
		for _, x := range r.except {
			edge(x)
		}
		for _, src := range r.sources {
			for _, e := range src {
				if e.Domain.Name == "" {
					edge(e.Range)
				}
			}
		}
	}
	return out
}

func TestTable_agrees_with_a_linear_scan(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		d := dice{func() byte { return byte(rnd.Uint32()) }}
		s := d.table()
		s.compare(t, testNow, s.questions(d), testNames)
	}
}

// Networks that lie close together need more than the first index: hundreds of
// them share their first 16 bits, in IPv6 their first 64 too.
func TestTable_agrees_where_ranges_are_dense(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, family := range []struct {
		name string
		bits int // of the smallest network
		addr func() netip.Addr
	}{
		{"IPv4", 32, func() netip.Addr { return v4(0x0a00_0000 | rnd.Uint32N(1<<17)).addr() }},
		{"IPv6 networks", 64, func() netip.Addr { return v6{0x2001_0db8_0000_0000 | rnd.Uint64N(1<<17), 0}.addr() }},
		{"IPv6 hosts", 128, func() netip.Addr { return v6{0x2001_0db8_0000_0000 | rnd.Uint64N(2), rnd.Uint64N(1 << 16)}.addr() }},
	} {
		for _, n := range []int{30, 300, 3000} {
			var entries []Entry
			var asked []netip.Addr
			for line := range n {
				r := netipx.RangeOfPrefix(netip.PrefixFrom(family.addr(), family.bits-rnd.IntN(8)))
				entries = append(entries, Entry{Range: Range{r.From(), r.To()}, Line: line + 1})
				asked = append(asked, r.From().Prev(), r.From(), r.To(), r.To().Next(), family.addr())
			}
			s := slowTable{rules: []slowRule{{rule: Rule{Name: "x", Enabled: true}, sources: [][]Entry{entries}}}}
			table := s.table(testNow)
			for _, a := range asked {
				if got, want := fact(table.Lookup(a).Allow("", testNow)), s.lookup(a, Allow, "", testNow); got != want {
					t.Fatalf("%s, %d networks: Lookup(%v) = %q, want %q", family.name, n, a, got, want)
				}
			}
		}
	}
}

// FuzzTable_Lookup builds a table from arbitrary bytes and asks it and the
// linear scan about every edge. They must agree on rule, source and line.
func FuzzTable_Lookup(f *testing.F) {
	f.Add([]byte{1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 1})
	f.Add(binary.BigEndian.AppendUint64(nil, 0xdeadbeef01020304))
	f.Fuzz(func(t *testing.T, spec []byte) {
		if len(spec) > 300 {
			return
		}
		i := 0
		d := dice{func() byte {
			if i++; i <= len(spec) {
				return spec[i-1]
			}
			return byte(i * 31)
		}}
		s := d.table()
		s.compare(t, testNow, s.questions(d), testNames)
	})
}
