package resolver

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// fakeTap writes down what it sees.
type fakeTap struct {
	mu   sync.Mutex
	seen map[string]int // "udp query NAME", "udp answer NAME"
	bad  []string
}

func (f *fakeTap) note(what string, msg []byte, client, server netip.AddrPort, tcp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m dns.Msg
	if err := m.Unpack(msg); err != nil || !client.Addr().IsLoopback() || client.Port() == 0 || server.Port() == 0 {
		f.bad = append(f.bad, what)
		return
	}
	network := map[bool]string{false: "udp ", true: "tcp "}[tcp]
	f.seen[network+what+" "+m.Question[0].Name]++
}

func (f *fakeTap) Query(msg []byte, client, server netip.AddrPort, tcp bool) {
	f.note("query", msg, client, server, tcp)
}

func (f *fakeTap) Answer(msg []byte, client, server netip.AddrPort, tcp bool) {
	f.note("answer", msg, client, server, tcp)
}

// TestTap asks what is a miss first and a hit then, over both transports.
func TestTap(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	tap := &fakeTap{seen: map[string]int{}}
	srv, err := Listen(ServerOptions{
		Resolver: s.r, Log: slog.New(slog.DiscardHandler), Workers: 1, Tap: tap,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, patience) }()
	names := map[string]string{"udp": "1.2.0.192.bl.test.", "tcp": "8.2.0.192.bl.test."}
	for network, name := range names {
		for range 2 {
			c := dns.Client{Net: network, Timeout: patience}
			if _, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), srv.Addrs()[0].String()); err != nil {
				t.Fatalf("%s: %v", network, err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	for network, name := range names {
		for _, what := range []string{"query", "answer"} {
			if n := tap.seen[network+" "+what+" "+name]; n != 2 {
				t.Errorf("%s: %d of kind %s, want 2 (all: %v)", network, n, what, tap.seen)
			}
		}
	}
	if len(tap.bad) > 0 {
		t.Errorf("messages without addresses or sense: %v", tap.bad)
	}
}
