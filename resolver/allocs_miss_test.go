//go:build !race

package resolver

import "testing"

// maxMissAllocs bounds what one question costs that the list is asked for: the
// answer's way into the cache. What waits for it is used again.
const maxMissAllocs = 3

// TestMiss_allocs asks for a new name each time.
func TestMiss_allocs(t *testing.T) {
	m := newMisses(t)
	n := testing.AllocsPerRun(2000, func() { m.ask(t) })
	if n > maxMissAllocs {
		t.Errorf("a miss allocates %v times, want at most %d", n, maxMissAllocs)
	}
}
