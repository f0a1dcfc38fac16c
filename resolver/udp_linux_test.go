package resolver

import (
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// TestUDP_betweenTurns has a packet arrive after the last look of a turn that
// ended with a lone one. Nobody tells of it again, so the next turn must look.
func TestUDP_betweenTurns(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	srv, err := Listen(ServerOptions{Resolver: s.r, Workers: 1, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	conn, err := net.Dial("udp4", srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := (&dns.Conn{Conn: conn}).WriteMsg(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	u, b := srv.udp[0], newBatch(false)
	b.nIn = 1
	if err := u.raw.Control(func(fd uintptr) {
		for n := 0; n == 0 && err == nil; {
			if n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err == unix.EINTR {
				err = nil
			}
		}
		u.turn(b, NewScratch(0), fd)
	}); err != nil {
		t.Fatal(err)
	}
	if b.sent != 1 {
		t.Errorf("%d answers, want 1", b.sent)
	}
}
