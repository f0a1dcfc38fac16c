package resolver

import (
	"net/netip"
	"sync"
)

// bounds keep one client, and all together, from holding more memory than
// their share: each waiting question costs about a kilobyte.
type bounds struct {
	perClient, inAll int

	mu      sync.Mutex
	waiting map[netip.Addr]int
	total   int
}

func newBounds(perClient, inAll int) *bounds {
	return &bounds{perClient: perClient, inAll: inAll, waiting: make(map[netip.Addr]int)}
}

// enter counts one question of client. It is false when there are too many:
// the question then has to do with the facts at hand. leave is due either
// way.
func (b *bounds) enter(client netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	ok := b.total < b.inAll && b.waiting[client] < b.perClient
	b.total++
	b.waiting[client]++
	return ok
}

func (b *bounds) leave(client netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if b.waiting[client]--; b.waiting[client] == 0 {
		delete(b.waiting, client)
	}
}
