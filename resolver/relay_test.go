package resolver

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/upstream"
)

// fakeRelay answers what reply makes of a packet.
type fakeRelay func(pkt []byte) ([]byte, error)

func (f fakeRelay) Relay(pkt []byte, _ bool, done func([]byte, error)) {
	pkt = slices.Clone(pkt)
	go func() { done(f(pkt)) }()
}

// relaying is a scene without zones: to is asked everything.
func relaying(t *testing.T, to Relay) *scene {
	t.Helper()
	s := newScene(t, nil)
	if err := s.r.Configure(Settings{Relay: to, Clients: []netip.Prefix{netip.PrefixFrom(testClient, 32)}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRelay_size passes on what the client takes, also beyond what an answer of
// our own may have, and tells it to use TCP otherwise.
func TestRelay_size(t *testing.T) {
	s := relaying(t, fakeRelay(func(pkt []byte) ([]byte, error) {
		m := new(dns.Msg)
		if err := m.Unpack(pkt); err != nil {
			return nil, err
		}
		return large(m, 10).Pack()
	}))
	ask := func(size uint16, tcp bool) *dns.Msg {
		m := new(dns.Msg).SetQuestion("www.example.", dns.TypeTXT)
		if size > 0 {
			m.SetEdns0(size, false)
		}
		return s.exchange(m, tcp)
	}
	for _, tt := range []struct {
		size uint16
		tcp  bool
		want int
	}{{0, false, 0}, {1232, false, 0}, {4096, false, 10}, {0, true, 10}} {
		if m := ask(tt.size, tt.tcp); len(m.Answer) != tt.want || m.Truncated != (tt.want == 0) {
			t.Errorf("EDNS size %d, TCP %v: %d records, TC %v; want %d", tt.size, tt.tcp, len(m.Answer), m.Truncated, tt.want)
		}
	}
}

// TestRelay_sizeRead: an answer of which the rest was not read is no half record.
func TestRelay_sizeRead(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(large(q, 30)) // the question ends without it
	})}
	go func() { _ = srv.ActivateAndServe() }()
	defer srv.Shutdown()
	pool := upstream.NewPool(nil)
	defer pool.Close()
	s := relaying(t, passOn{pool.Exchanger([]netip.AddrPort{conn.LocalAddr().(*net.UDPAddr).AddrPort()}, upstream.ExchangeOptions{})})
	for _, size := range []uint16{4096, 65535} {
		m := s.exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeTXT).SetEdns0(size, false), false)
		if !m.Truncated || len(m.Answer) > 0 || m.IsEdns0() == nil {
			t.Errorf("EDNS size %d: %v; want an empty answer with TC", size, m)
		}
	}
}

// large answers q with so many records of 200 octets and more.
func large(q *dns.Msg, records int) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	for range records {
		m.Answer = append(m.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", 200)},
		})
	}
	return m
}

// passOn is a Relay over DNS.
type passOn struct{ to *upstream.Exchanger }

func (p passOn) Relay(pkt []byte, tcp bool, done func([]byte, error)) { p.to.Relay(pkt, tcp, done) }

// TestRelay_failure: a name outside the zones gets SERVFAIL and the reason
// when no resolver answers, and nothing that is not an answer.
func TestRelay_failure(t *testing.T) {
	for _, tt := range []struct {
		name string
		to   fakeRelay
		want string
	}{
		{"no answer", func([]byte) ([]byte, error) { return nil, errors.New("no answer in time") }, "no answer in time"},
		{"half a header", func(pkt []byte) ([]byte, error) { return pkt[:7], nil }, "the resolver's answer is no DNS message"},
	} {
		s := relaying(t, tt.to)
		m := s.ask("www.example", dns.TypeA)
		code, text := ede(m)
		if brief(m) != "SERVFAIL" || code != edeUnreachable || text != tt.want {
			t.Errorf("%s: %s with extended error %d %q, want SERVFAIL with %d %q", tt.name, brief(m), code, text, edeUnreachable, tt.want)
		}
	}
}

// TestRelay_overload: a name outside the zones for which there is no room gets
// SERVFAIL, and is counted with those that were passed on in vain.
func TestRelay_overload(t *testing.T) {
	s := relaying(t, fakeRelay(func([]byte) ([]byte, error) { return nil, errors.New("asked all the same") }))
	s.r.bounds.inAll = 0
	m := s.ask("www.example", dns.TypeA)
	if code, text := ede(m); brief(m) != "SERVFAIL" || code != edeUnreachable {
		t.Errorf("%s with extended error %d %q, want SERVFAIL with %d", brief(m), code, text, edeUnreachable)
	}
	if got := gathered(t, s, "dnsblproxy_queries_total"); got != 1 {
		t.Errorf("queries_total is %v, want 1", got)
	}
}
