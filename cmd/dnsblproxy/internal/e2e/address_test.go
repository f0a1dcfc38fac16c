package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
)

// freeIP returns a loopback address of its own for a daemon, drawn from four
// million, so that each daemon of each test run has its usual ports to itself.
// It is not tried out by binding it: a process that another test starts at
// that moment would hold the socket open a little longer. Systems without the
// whole of 127.0.0.0/8 on loopback (macOS) cannot run these tests.
func freeIP(t testing.TB) netip.Addr {
	t.Helper()
	if runtime.GOOS != "linux" {
		missing(t, "this test needs the whole of 127.0.0.0/8, which Linux has")
	}
	return netip.AddrFrom4([4]byte{127, byte(64 + rand.N(64)), byte(rand.N(256)), byte(1 + rand.N(254))})
}

// freePort returns a port that nobody has at any address. It is none of those
// that the kernel gives to others meanwhile.
func freePort(t testing.TB) uint16 {
	t.Helper()
	for {
		port := 20000 + rand.N(10000)
		l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
		if err != nil {
			continue
		}
		c, err := net.ListenPacket("udp4", l.Addr().String())
		l.Close()
		if err == nil {
			c.Close()
			return uint16(port)
		}
	}
}
