package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// numShards is the number of maps in front of the store, a power of two.
	numShards = 256

	// numChains is the number of chains in each, a power of two.
	numChains = 16

	// maxQueued bounds the writes that wait. The drainer makes some hundred
	// thousand a second.
	maxQueued = 1 << 14

	// maxBatch is how many writes are made between two waits for ristretto.
	// It must be below the 32,768 that ristretto queues before it drops.
	maxBatch = 1 << 10

	// A portion is how many writes are made at a stretch unless a rush of
	// them waits. With one processor nobody looks at the network meanwhile;
	// after a portion somebody does.
	//
	// They are made as soon as so many wait: whoever brings the last of them is
	// about to wait for a list or a client, and the processor is awake. Being
	// woken by a timer for them costs more than they do.
	portion = 16

	rush         = 1 << 10
	breathingFor = 200 * time.Microsecond

	// gatherFor is how long fewer than a portion wait for company. Gets find
	// what waits, so nobody is kept.
	gatherFor = 100 * time.Millisecond
)

// shard is a part of what stands in front of the store: the window, and what is
// on its way from there.
type shard struct {
	mu     sync.RWMutex
	closed bool
	window []bucket
	held   int        // answers in the window
	front  []*pending // what waits, in chains by hash
	spare  *pending   // what was written, to be used again; linked by next

	// The latest key for which there was nothing. A question that is not
	// answered is looked for twice in a row: the second time this answers, and
	// nothing is counted for popularity. Setting the key takes it out.
	missed atomic.Uint64

	_ [64]byte // the next shard's lock is on another cache line
}

// add puts w into the shard, in the place of an earlier answer to its key. It
// returns what is to be written into the store therefore, nil for nothing.
func (c *Cache) add(s *shard, w *write) *pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if old := s.get(w.packed, w.hash); old != nil {
		old.replaced.Store(true)
		s.remove(old)
	}
	packed := w.packed
	left := c.enter(s, w)
	s.missed.CompareAndSwap(packed, 0)
	if !left {
		return nil
	}
	p := s.spare
	if p == nil {
		p = new(pending)
	}
	s.spare = p.next
	p.write = *w
	at := s.chain(p.hash)
	p.next, *at = *at, p
	return p
}

// chain returns where those stand that share some bits of their hash.
func (s *shard) chain(hash uint64) **pending { return &s.front[hash>>44&(numChains-1)] }

// get returns what waits for a key, nil for nothing.
func (s *shard) get(packed, hash uint64) *pending {
	p := *s.chain(hash)
	for p != nil && p.packed != packed {
		p = p.next
	}
	return p
}

// remove takes p out, if it is there.
func (s *shard) remove(p *pending) {
	for at := s.chain(p.hash); *at != nil; at = &(*at).next {
		if *at == p {
			*at, p.next = p.next, nil
			return
		}
	}
}

// write is what Set was given, or what left the window.
type write struct {
	packed  uint64
	check   uint64
	hash    uint64
	data    string
	expires uint32
	life    uint32
	keep    uint32
}

// pending is a write that waits. It is used again once it was made: nobody but
// its shard knows of it then.
type pending struct {
	write

	replaced atomic.Bool // by a later write
	next     *pending    // in its chain; guarded by the shard's lock
}

// shard goes by bits of the hash that differ between the lists that are asked
// about one address, of an IPv4 question the zone's: what one is asked in vain does
// not take another's place in missed.
func (c *Cache) shard(hash uint64) *shard { return &c.shards[hash>>36%numShards] }

// queue holds the writes that wait, in their order.
type queue struct {
	mu    sync.Mutex
	added []*pending
	n     atomic.Int64  // all that wait, those included that the drainer took
	room  chan struct{} // there is some again
}

// wait waits until there is room; false when quit is closed first.
func (q *queue) wait(quit <-chan struct{}) bool {
	if q.n.Load() < maxQueued {
		return true
	}
	for q.n.Load() >= maxQueued {
		select {
		case <-q.room:
		case <-quit:
			return false
		}
	}
	signal(q.room) // others may wait
	return true
}

// put adds p and returns how many wait.
func (q *queue) put(p *pending) int64 {
	n := q.n.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.added = append(q.added, p)
	return n
}

// take returns what was added since the last time, and keeps spare's memory for
// what will be.
func (q *queue) take(spare []*pending) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.added
	q.added = spare[:0]
	return taken
}

// done says that so many have been written.
func (q *queue) done(n int) {
	if q.n.Add(-int64(n)) < maxQueued {
		signal(q.room)
	}
}

// signal wakes one who waits, now or later; ch has room for one signal.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// drain carries what waits into ristretto until the cache is closed. It is the
// only one that writes there, and never writes a key twice without waiting in
// between: of two writes to a new key ristretto would keep the first.
//
// The first write that waits sets the alarm, each portion has it ring, and while
// some wait it is set again.
func (c *Cache) drain() {
	defer close(c.done)
	defer c.alarm.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-c.alarm.C:
			if c.round() {
				c.rest()
			}
		case settled := <-c.settle:
			for c.round() {
			}
			close(settled)
		}
	}
}

// rest sets the alarm for what is left. It looks again behind that, for it may have
// undone the alarm of a portion that came in that moment.
func (c *Cache) rest() {
	for {
		d := c.pause()
		c.alarm.Reset(d)
		if d <= c.pause() {
			return
		}
	}
}

// pause returns how long what waits may go on waiting. Others have the processor
// between two portions.
func (c *Cache) pause() time.Duration {
	switch n := c.queue.n.Load(); {
	case n >= rush:
		return 0
	case n >= portion || len(c.flushing) > 0:
		return breathingFor
	}
	return gatherFor
}

// round makes the next writes and does what belongs to them. It reports whether
// there is more to do.
func (c *Cache) round() bool {
	batch := c.collect()
	c.write(batch)
	c.sweep(len(batch))
	return !c.flush() || c.queue.n.Load() > 0
}

// collect returns the next writes to make, none when none waits.
func (c *Cache) collect() []*pending {
	if c.at == len(c.taken) {
		clear(c.taken)
		c.taken, c.at = c.queue.take(c.taken), 0
	}
	most := maxBatch
	if c.queue.n.Load() < rush {
		most = portion
	}
	from := c.at
	c.at = min(from+most, len(c.taken))
	return c.taken[from:c.at]
}

// write makes the writes of a batch and then removes from the shards what was
// not replaced meanwhile.
func (c *Cache) write(batch []*pending) {
	if len(batch) == 0 {
		return
	}
	c.makeRoom(batch)
	for i, p := range batch {
		if p.replaced.Load() {
			batch[i] = nil
			continue
		}
		if c.gone(p.expires, p.keep) {
			c.store.Del(p.hash) // older answers must not come to light
			continue
		}
		v := c.value(p)
		c.entries.Add(1)
		c.bytes.Add(int64(v.answer.cost))
		c.replaced = false
		if !c.store.Set(p.hash, v, int64(v.answer.cost)) {
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
		if p != nil {
			c.leave(p)
		}
	}
	c.queue.done(len(batch))
}

// leave takes a write that was made off its shard, unless it was replaced
// meanwhile.
func (c *Cache) leave(p *pending) {
	s := c.shard(p.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(p)
	p.write = write{}
	p.replaced.Store(false)
	p.next, s.spare = s.spare, p
}
