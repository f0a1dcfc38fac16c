package main

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/upstream"
)

// TestReverse_silence: reverse DNS that does not answer is a timeout, in the
// metrics and in the answer's reason too, whoever notices it first.
func TestReverse_silence(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	pool := upstream.NewPool(nil)
	defer pool.Close()
	at := []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}
	e := pool.Exchanger(at, upstream.ExchangeOptions{})
	list := newReverse(t.Context(), dnsResolver(func() *upstream.Exchanger { return e }), 10*time.Millisecond)
	outcome := make(chan upstream.Outcome)
	list.Start(upstream.Ask{Question: upstream.Question{Type: uint16(spf.TypeA)}, Subject: netip.MustParseAddr("192.0.2.1")}, func(o upstream.Outcome) { outcome <- o })
	if o := <-outcome; !errors.Is(o.Err, upstream.ErrTimeout) {
		t.Errorf("the check ends with %v, want a timeout", o.Err)
	}
}
