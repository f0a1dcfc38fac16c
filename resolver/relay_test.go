package resolver

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// fakeRelay answers what reply makes of a packet.
type fakeRelay func(pkt []byte) ([]byte, error)

func (f fakeRelay) Relay(pkt []byte, _ bool, done func([]byte, error)) {
	pkt = slices.Clone(pkt)
	go func() { done(f(pkt)) }()
}

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
		s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
		err := s.r.Configure(Settings{
			Zones: []ZoneOptions{testZone("bl.test", spamhaus())}, Relay: tt.to,
			Clients: []netip.Prefix{netip.PrefixFrom(testClient, 32)},
		})
		if err != nil {
			t.Fatal(err)
		}
		m := s.ask("www.example", dns.TypeA)
		code, text := ede(m)
		if brief(m) != "SERVFAIL" || code != edeUnreachable || text != tt.want {
			t.Errorf("%s: %s with extended error %d %q, want SERVFAIL with %d %q", tt.name, brief(m), code, text, edeUnreachable, tt.want)
		}
	}
}
