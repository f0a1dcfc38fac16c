package resolver

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
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
		{"render", func() { sc.out = render(sc.out, &sc.query.Head, &qu, &d, pkt, 512) }},
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
	m := newMisses(b)
	b.ReportAllocs()
	for b.Loop() {
		m.ask(b)
	}
}

// misses are questions that the list has to be asked, one at a time.
type misses struct {
	r        *Resolver
	sc       *Scratch
	pkt      []byte
	asked    int
	answered chan struct{}
	reply    func([]byte)
}

func newMisses(tb testing.TB) *misses {
	l := &unlistedList{asked: make(chan func(upstream.Outcome))}
	m := &misses{sc: NewScratch(0), answered: make(chan struct{})}
	z := testZone("bl.test", nil)
	z.List = l
	m.r = newScene(tb, []ZoneOptions{z}).r
	m.reply = func([]byte) { m.answered <- struct{}{} }
	var err error
	m.pkt, err = new(dns.Msg).SetQuestion("100.100.100.10.bl.test.", dns.TypeA).Pack()
	if err != nil {
		tb.Fatal(err)
	}
	var answering sync.WaitGroup
	answering.Go(l.answer)
	tb.Cleanup(func() { close(l.asked); answering.Wait() })
	return m
}

// ask asks about an address, another one each of a million times.
func (m *misses) ask(tb testing.TB) {
	n := m.asked
	m.asked++
	for label := range 3 {
		digits := m.pkt[wire.HeaderLen+4*label+2:]
		digits[0], digits[1] = '0'+byte(n/10%10), '0'+byte(n%10)
		n /= 100
	}
	if _, done := m.r.Respond(m.sc, m.pkt, testClient, false); done {
		tb.Fatal("answered at once")
	}
	m.r.Await(m.sc, m.pkt, testClient, false, m.reply)
	<-m.answered
}

// unlistedList has nobody. It costs next to nothing itself.
type unlistedList struct{ asked chan func(upstream.Outcome) }

func (l *unlistedList) Start(_ upstream.Ask, done func(upstream.Outcome)) { l.asked <- done }
func (l *unlistedList) Open(rbl.Shape) (string, bool, bool)               { return "", false, false }
func (l *unlistedList) Quarantined() (string, bool)                       { return "", false }

func (l *unlistedList) answer() {
	o := upstream.Outcome{Response: wire.Response{
		Rcode: wire.RcodeNXDomain, TTL: 3600,
		SOA: []byte("\x02ns\x04list\x00\x04root\x04list\x00" + ownTimers),
	}}
	for done := range l.asked {
		done(o)
	}
}
