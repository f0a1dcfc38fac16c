package e2e

import (
	"math/rand/v2"
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
