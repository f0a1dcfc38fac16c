package cache

import (
	"sync"
	"time"
)

const (
	// numShards is the number of maps in front of the store, a power of two.
	numShards = 256

	// maxQueued bounds the writes that wait, in entries. The drainer makes
	// some hundred thousand a second.
	maxQueued = 1 << 14

	// maxBatch is how many writes are made between two waits for ristretto.
	// It must be below the 32,768 that ristretto queues before it drops.
	maxBatch = 1 << 10

	// gatherFor is how long the drainer waits for company of the first write.
	// Looking through all shards and waiting for ristretto costs as much for
	// one write as for a hundred. Gets find what waits, so nobody is kept.
	gatherFor = 5 * time.Millisecond

	// A portion is how many writes are made at a stretch unless a rush of
	// them waits. With one processor nobody looks at the network meanwhile;
	// after a portion somebody does.
	portion      = 16
	rush         = 1 << 10
	breathingFor = 200 * time.Microsecond
)

// shard is a part of what waits for the store.
type shard struct {
	mu      sync.RWMutex
	closed  bool
	waiting map[uint64]*pending
	refused map[uint64]*pending // see there
	_       [64]byte            // the next shard's lock is on another cache line
}

// add puts p into the shard. It reports whether there is one entry more than
// before, which is not so when p took another's place or the cache is closed.
func (s *shard) add(p *pending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	before := len(s.waiting)
	s.waiting[p.packed] = p
	return len(s.waiting) > before
}

// pending is one write that waits. It is immutable once it is in a shard.
type pending struct {
	packed  uint64
	head    uint64
	name    string
	data    string
	expires uint32
	life    uint32
	keep    uint32
}

func (c *Cache) shard(packed uint64) *shard {
	return &c.shards[mix63(packed)%numShards]
}

// drain carries what waits into ristretto until the cache is closed. It is the
// only one that writes there, and never writes a key twice without waiting in
// between: of two writes to a new key ristretto would keep the first.
func (c *Cache) drain() {
	defer close(c.done)
	batch := make([]*pending, 0, maxBatch)
	company := time.NewTimer(gatherFor)
	defer company.Stop()
	for {
		var settled chan struct{} // not nil while somebody waits for us
		select {
		case <-c.quit:
			return
		case settled = <-c.settle:
		case <-c.wake:
		}
		for more, pause := true, gatherFor; more; pause = breathingFor {
			if settled == nil {
				var open bool
				if settled, open = c.rest(company, pause); !open {
					return
				}
			}
			batch = batch[:0]
			more = c.collect(&batch)
			c.write(batch)
			c.sweep(len(batch))
			more = !c.flush() || more
		}
		if settled != nil {
			close(settled)
		}
		clear(batch[:cap(batch)])
	}
}

// rest waits, but not in a rush, or until somebody waits for us. open is false
// when the cache is closed.
func (c *Cache) rest(timer *time.Timer, pause time.Duration) (settled chan struct{}, open bool) {
	if len(c.queued) >= rush && pause < gatherFor {
		pause = 0
	}
	timer.Reset(pause)
	select {
	case <-c.quit:
		return nil, false
	case settled = <-c.settle:
	case <-c.half:
	case <-timer.C:
	}
	return settled, true
}

// collect fills the batch with what waits, and reports whether there may be
// more. It goes on where it stopped, so that no shard is left behind.
func (c *Cache) collect(batch *[]*pending) bool {
	most := maxBatch
	if len(c.queued) < rush {
		most = portion
	}
	for range c.shards {
		s := &c.shards[c.next]
		s.mu.RLock()
		for _, p := range s.waiting {
			if len(*batch) == most {
				break
			}
			*batch = append(*batch, p)
		}
		s.mu.RUnlock()
		if len(*batch) == most {
			return true
		}
		c.next = (c.next + 1) % numShards
	}
	return false
}

// write makes the writes of a batch and then removes from the shards what was
// not replaced meanwhile.
func (c *Cache) write(batch []*pending) {
	if len(batch) == 0 {
		return
	}
	c.keep = batch[len(batch)-1].keep
	c.makeRoom(len(batch))
	for _, p := range batch {
		v := c.value(p)
		c.entries.Add(1)
		c.bytes.Add(int64(v.answer.cost))
		c.replaced = false
		if !c.store.Set(p.packed, v, c.charge(v)) {
			c.exit(v)
			c.dropped.Add(1)
		}
		if !c.replaced {
			c.calendar.add(v.end(), p.packed)
		}
	}
	c.store.Wait()
	// Shared answers count against the same bound. They are not part of any
	// entry's cost, so the entries' share is what they leave.
	c.store.UpdateMaxCost(max(c.maxBytes-c.answers.bytes.Load(), c.maxBytes/16))
	for _, p := range batch {
		c.leave(p)
	}
}

// leave takes a write that was made off its shard, unless it was replaced
// meanwhile.
func (c *Cache) leave(p *pending) {
	// GetTTL looks whether the key is there and, unlike Get, does not count.
	_, stored := c.store.GetTTL(p.packed)
	keep := !stored && len(p.data) <= maxShared // longer texts are not worth it
	if keep {
		c.put(p)
	}
	s := c.shard(p.packed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if keep {
		s.refused[p.packed] = p
	} else {
		delete(s.refused, p.packed)
	}
	if s.waiting[p.packed] == p {
		delete(s.waiting, p.packed)
		<-c.queued
	}
}
