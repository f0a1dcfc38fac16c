package e2e

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// freeIP returns a loopback address that nobody listens at, drawn from four
// million, so that each daemon of each test run has its usual ports to itself.
// Loopback systems without 127.0.0.0/8 (macOS) cannot run these tests.
func freeIP(t testing.TB) netip.Addr {
	t.Helper()
	for range 20 {
		ip := netip.AddrFrom4([4]byte{127, byte(64 + rand.N(64)), byte(rand.N(256)), byte(1 + rand.N(254))})
		if free(netip.AddrPortFrom(ip, 5300)) {
			return ip
		}
	}
	missing(t, "no address of 127.0.0.0/8 can be listened at")
	return netip.Addr{}
}

func free(ap netip.AddrPort) bool {
	l, err := net.Listen("tcp", ap.String())
	if err != nil {
		return false
	}
	l.Close()
	pc, err := net.ListenPacket("udp", ap.String())
	if err != nil {
		return false
	}
	pc.Close()
	return true
}
