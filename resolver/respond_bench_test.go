package resolver

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
)

// benchNames is how many cached names the benchmarks go round: more than the
// first-level cache holds, as in a mail server's day.
const benchNames = 1 << 14

// benchQueries are packets about addresses from 10.0.0.0 on, in an order of
// no use to the processor's prefetching.
func benchQueries(tb testing.TB, zone string, typ uint16, n int) [][]byte {
	tb.Helper()
	out := make([][]byte, n)
	for i := range out {
		j := i * 40503 % n
		m := new(dns.Msg).SetQuestion(fmt.Sprintf("%d.%d.%d.10.%s.", j&255, j>>8&255, j>>16, zone), typ)
		pkt, err := m.Pack()
		if err != nil {
			tb.Fatal(err)
		}
		out[i] = pkt
	}
	return out
}

// benchPrefixes are n prefixes that hold none of the addresses asked about.
func benchPrefixes(n int) []string {
	out := make([]string, n)
	for i := range out {
		a := 64<<24 + i<<4
		out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 28).String()
	}
	return out
}

// BenchmarkRespond is the whole way from bytes to bytes in user space, for
// what needs no list. Building and filling is not timed.
func BenchmarkRespond(b *testing.B) {
	kinds := []struct {
		name  string
		rules int
		exact overrides.Rule
		list  func(*fakeList)
		typ   uint16
	}{
		{name: "hit=unlisted/rules=10", rules: 10},
		{name: "hit=unlisted/rules=10000", rules: 10_000},
		{name: "hit=unlisted/rules=1000000", rules: 1_000_000},
		{name: "hit=listed/rules=10", rules: 10, list: func(l *fakeList) { l.all = "127.0.0.2" }},
		{name: "exempt/rules=10000", rules: 10_000, exact: overrides.Rule{Name: "all", CIDR: []string{"10.0.0.0/8"}}},
	}
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			l := &fakeList{ttl: 3600}
			if k.list != nil {
				k.list(l)
			}
			rules := []overrides.Rule{{Name: "partners", CIDR: benchPrefixes(k.rules)}}
			if k.exact.Name != "" {
				rules = append(rules, k.exact)
			}
			s := newScene(b, []ZoneOptions{testZone("bl.test", l), testZone("other.test", l)}, rules...)
			queries := benchQueries(b, "bl.test", dns.TypeA, benchNames)
			for _, pkt := range queries {
				s.raw(pkt, false)
			}
			sc := NewScratch(0)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, done := s.r.Respond(sc, queries[i&(benchNames-1)], testClient, false); !done {
					b.Fatal("not answered at once")
				}
				i++
			}
		})
	}
}

// BenchmarkStages are the parts of a hit, each alone.
func BenchmarkStages(b *testing.B) {
	l := &fakeList{ttl: 3600, all: "127.0.0.2"}
	s := newScene(b, []ZoneOptions{testZone("bl.test", l), testZone("other.test", l)}, overrides.Rule{Name: "partners", CIDR: benchPrefixes(10_000)})
	queries := benchQueries(b, "bl.test", dns.TypeA, benchNames)
	for _, pkt := range queries {
		s.raw(pkt, false)
	}
	sc := NewScratch(0)
	pkt := queries[1]
	if fault := sc.query.Parse(pkt); fault != wire.OK {
		b.Fatal(fault)
	}
	snap := s.r.snap.Load()
	z := snap.zones.find(&sc.query)
	qu := z.read(&sc.query)
	s.r.prepare(&sc.facts, nil)
	d := decide(&qu, &sc.facts)
	stages := []struct {
		name string
		do   func()
	}{
		{"parse", func() { sc.query.Parse(pkt) }},
		{"client", func() { snap.clients.Contains(testClient) }},
		{"zone", func() { snap.zones.find(&sc.query) }},
		{"subject", func() { z.read(&sc.query) }},
		{"rules", func() { sc.facts.match(&qu) }},
		{"cache", func() { s.r.cache.Get(z.key(&qu, wire.TypeA)) }},
		{"decide", func() { s.r.prepare(&sc.facts, nil); decide(&qu, &sc.facts) }},
		{"account", func() { s.r.account(sc, &qu, &d, testClient, nil) }},
		{"render", func() { sc.out = render(sc.out, &sc.query, &qu, &d, pkt, 512) }},
	}
	for _, st := range stages {
		b.Run(st.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				st.do()
			}
		})
	}
}

// BenchmarkMiss is the resolver's part of a miss, a list that answers at once
// from another goroutine included.
func BenchmarkMiss(b *testing.B) {
	s := newScene(b, []ZoneOptions{testZone("bl.test", &fakeList{ttl: 3600, quiet: true})})
	queries := benchQueries(b, "bl.test", dns.TypeA, 1)
	pkt := queries[0]
	sc := NewScratch(0)
	answered := make(chan struct{}, 1)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		// The digits of the last two octets are replaced in the packet.
		pkt = missPacket(pkt, i)
		i++
		if _, done := s.r.Respond(sc, pkt, testClient, false); done {
			b.Fatal("answered at once")
		}
		s.r.Await(sc, pkt, testClient, false, func([]byte) { answered <- struct{}{} })
		<-answered
	}
}

// missPacket makes of a query one about another name, the i-th: a domain.
func missPacket(pkt []byte, i int) []byte {
	const letters = "abcdefghijklmnop"
	label := [9]byte{8}
	for j := range 8 {
		label[1+j] = letters[i>>(4*j)&15]
	}
	end := len(pkt) - len("\x02bl\x04test\x00") - 4
	return append(append(append(make([]byte, 0, 64), pkt[:12]...), label[:]...), pkt[end:]...)
}
