package resolver

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
)

// bounds keep one client, and all together, from holding more memory than
// their share: each waiting question costs about a kilobyte.
type bounds struct {
	perClient, inAll int64
	total            atomic.Int64

	// waiting counts each client's questions. A count grows under the lock
	// only, so that one of 0 can be taken away under it.
	mu      sync.Mutex
	waiting map[netip.Addr]*atomic.Int64
	sweepAt int // so many clients: those are forgotten for whom nothing waits
}

// idleClients is how many clients are remembered for whom nothing waits: the
// mail servers that ask us.
const idleClients = 1024

func newBounds(perClient, inAll int) *bounds {
	return &bounds{
		perClient: int64(perClient), inAll: int64(inAll),
		waiting: make(map[netip.Addr]*atomic.Int64), sweepAt: idleClients,
	}
}

// enter counts one question of client. ok is false when there are too many:
// the question then has to do with the facts at hand. leave is due either
// way.
func (b *bounds) enter(client netip.Addr) (place *atomic.Int64, ok bool) {
	b.mu.Lock()
	place = b.waiting[client]
	if place == nil {
		if len(b.waiting) >= b.sweepAt {
			maps.DeleteFunc(b.waiting, func(_ netip.Addr, n *atomic.Int64) bool { return n.Load() == 0 })
			b.sweepAt = max(idleClients, 2*len(b.waiting))
		}
		place = new(atomic.Int64)
		b.waiting[client] = place
	}
	mine := place.Add(1)
	b.mu.Unlock()
	all := b.total.Add(1)
	return place, mine <= b.perClient && all <= b.inAll
}

// leave takes back what enter counted.
func (b *bounds) leave(place *atomic.Int64) {
	place.Add(-1)
	b.total.Add(-1)
}

// shares are of places that clients compete for. One may take another place as
// long as more are free than it holds: alone it gets half of them, and whoever
// comes then half of the rest.
type shares struct {
	mu   sync.Mutex
	free int
	held map[netip.Addr]int
}

func newShares(n int) *shares { return &shares{free: n, held: make(map[netip.Addr]int)} }

// take is false when there is no place for client.
func (s *shares) take(client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[client] >= s.free {
		return false
	}
	s.held[client]++
	s.free--
	return true
}

// leave gives one back that client has taken.
func (s *shares) leave(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.held[client]--; s.held[client] == 0 {
		delete(s.held, client)
	}
}
