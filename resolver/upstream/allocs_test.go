//go:build !race

package upstream

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestExchanger_allocs holds that a question costs a handful of allocations:
// the cancel function and little else; sockets, flights, timers and buffers
// are used again.
func TestExchanger_allocs(t *testing.T) {
	e := newPool(t, Options{SocketUses: 1 << 30}).Exchanger([]netip.AddrPort{echo(t)}, ExchangeOptions{CaseRandom: true})
	q := question(t, "4.3.2.1.zen.example.org", dns.TypeA)
	landed := make(chan Outcome, 1)
	done := func(o Outcome) { landed <- o }
	ask := func() {
		e.Start(q, done)
		if o := <-landed; o.Err != nil {
			t.Error(o.Err)
		}
	}
	for range 100 {
		ask() // opens the sockets
	}
	if n := testing.AllocsPerRun(2000, ask); n > 2 {
		t.Errorf("one question allocates %v times, want at most 2", n)
	}
}
