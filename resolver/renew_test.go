package resolver

import (
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
)

// TestFlight_prefetch_popular: an answer that nobody asked for in the second half
// of its life, or only for a moment at its start, is not renewed.
func TestFlight_prefetch_popular(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		for _, wait := range []uint32{0, 140, 135, 1} { // 300 s in all
			s.r.clock.mono.Add(wait)
			s.ask("1.2.0.192.bl.test", dns.TypeA)
			synctest.Wait()
			if n := l.questions(); n != 1 {
				t.Fatalf("%d questions, want no renewal", n)
			}
		}
		s.r.Close()
	})
}
