//go:build !race

package upstream

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// TestExchanger_allocs holds that a question allocates its cancel function and
// nothing else: sockets, flights, timers and buffers are used again.
func TestExchanger_allocs(t *testing.T) {
	p := newPool(t)
	p.socketUses = 1 << 30
	e := p.Exchanger([]netip.AddrPort{echo(t)}, ExchangeOptions{CaseRandom: true})
	q := question(t, "4.3.2.1.zen.example.org", dns.TypeA)
	landed := make(chan Outcome, 1)
	done := func(o Outcome) { landed <- o }
	ask := func() {
		e.begin(q, nil, done)
		if o := <-landed; o.Err != nil {
			t.Error(o.Err)
		}
	}
	for range 100 {
		ask() // opens the sockets
	}
	if n := testing.AllocsPerRun(2000, ask); n > 1 {
		t.Errorf("one question allocates %v times, want at most 1", n)
	}
}

// TestList_allocs holds that a question to a list allocates nothing, its
// answer's records aside.
func TestList_allocs(t *testing.T) {
	p := newPool(t)
	p.socketUses = 1 << 30
	zone := question(t, "zen.example.org", dns.TypeA).Name
	l := NewList(ListOptions{Zone: zone, Holds: rbl.HoldsIP4, Ask: p.Exchanger([]netip.AddrPort{echo(t)}, ExchangeOptions{CaseRandom: true})})
	a := Ask{Question: question(t, "4.3.2.1.zen.example.org", dns.TypeA), Shape: rbl.IP4}
	landed := make(chan Outcome, 1)
	done := func(o Outcome) { landed <- o }
	ask := func() {
		l.Start(a, done)
		if o := <-landed; o.Err != nil {
			t.Error(o.Err)
		}
	}
	for range 100 {
		ask()
	}
	if n := testing.AllocsPerRun(2000, ask); n > 0 {
		t.Errorf("one question allocates %v times, want 0", n)
	}
	if n := testing.AllocsPerRun(200, func() { l.Open(rbl.IP4); l.State() }); n != 0 {
		t.Errorf("Open and State allocate %v times, want 0", n)
	}
}
