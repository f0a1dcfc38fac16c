//go:build !race

package resolver

import (
	"testing"

	"github.com/miekg/dns"
)

// maxMissAllocs bounds what one question costs that the list is asked for: the
// answer's way into the cache, and about ten of the test's own list and packet.
// What waits for the answer is used again.
const maxMissAllocs = 18

// TestMiss_allocs asks for a new name each time.
func TestMiss_allocs(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", &fakeList{ttl: 3600, quiet: true})})
	pkt := benchQueries(t, "bl.test", dns.TypeA, 1)[0]
	sc := NewScratch(0)
	answered := make(chan struct{}, 1)
	i := 0
	n := testing.AllocsPerRun(500, func() {
		pkt = missPacket(pkt, i)
		i++
		if _, done := s.r.Respond(sc, pkt, testClient, false); done {
			t.Fatal("answered at once")
		}
		s.r.Await(sc, pkt, testClient, false, func([]byte) { answered <- struct{}{} })
		<-answered
	})
	if n > maxMissAllocs {
		t.Errorf("a miss allocates %v times, want at most %d", n, maxMissAllocs)
	}
}
