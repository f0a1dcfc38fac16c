//go:build !race

package spf

import (
	"net/netip"
	"testing"
)

func TestMap_Lookup_allocs(t *testing.T) {
	m := compile(t, googleLike(), "example.com")
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"} {
		a := netip.MustParseAddr(s)
		if n := testing.AllocsPerRun(100, func() { m.Lookup(a) }); n != 0 {
			t.Errorf("Lookup(%s) allocates %v times, want none", s, n)
		}
	}
}
