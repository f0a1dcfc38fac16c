package cache

// refused holds the latest answers that ristretto did not take, because others
// are more popular. A mail server that was told of a listing asks for its text a
// moment later, and the decision needs the listing again: without this each such
// question would go to the list twice. It is a ring, of the drainer's; readers
// find what is in it in their shard.
type refused struct {
	ring []*pending
	next int
}

// newRefused has room for every 64th entry, which is seconds where it matters.
func newRefused(capacity int64) refused { return refused{ring: make([]*pending, max(capacity/64, 64))} }

// put takes p in, in the place of the one that is there for the longest time.
func (c *Cache) put(p *pending) {
	r := &c.refused
	if old := r.ring[r.next]; old != nil {
		s := c.shard(old.hash)
		s.mu.Lock()
		s.remove(old)
		s.mu.Unlock()
	}
	r.ring[r.next] = p
	r.next = (r.next + 1) % len(r.ring)
}
