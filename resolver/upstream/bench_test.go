package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/internal/wire"
)

// echo answers every question over UDP with "unlisted", without parsing or
// allocating.
func echo(t testing.TB) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			buf[2] |= 0x80
			buf[3] = 0x80 | wire.RcodeNXDomain
			conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// BenchmarkExchanger asks a server in the same process, with so many questions
// out at a time; the figure per question holds the server's part.
func BenchmarkExchanger(b *testing.B) {
	for _, out := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("out=%d", out), func(b *testing.B) {
			e := newPool(b).Exchanger([]netip.AddrPort{echo(b)}, ExchangeOptions{CaseRandom: true})
			q := question(b, "4.3.2.1.zen.example.org", dns.TypeA)
			free := make(chan struct{}, out)
			for range out {
				free <- struct{}{}
			}
			done := func(o Outcome) {
				if o.Err != nil {
					b.Error(o.Err)
				}
				free <- struct{}{}
			}
			b.ReportAllocs()
			for b.Loop() {
				<-free
				e.begin(q, nil, done)
			}
			for range out {
				<-free
			}
		})
	}
}
