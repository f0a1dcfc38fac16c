package cache

import (
	"maps"
	"math"
	"slices"
)

// calendar remembers when entries end, so that dead ones make room before
// living ones are evicted for them. ristretto could do that itself, at 40
// bytes an entry, but not for zones that were flushed; and its admission
// policy would let dead entries that were popular keep new ones out for a long
// time. It belongs to the drainer.
//
// A key is recorded when it is stored anew, in the slot in which its answer
// ends. Renewing an answer does not move the record: when the slot comes, the
// key is looked up, and a living entry is recorded where it ends by then.
type calendar struct {
	slots map[uint32][][]uint64 // by end: packed keys, in chunks
	first uint32                // no slot is before it
	n     int                   // keys in all slots
	max   int                   // more than this are not recorded
}

const (
	// slotSeconds is the width of a slot. A dead entry goes that late at most,
	// if there are writes.
	slotSeconds = 4

	// chunkKeys keeps the growth of a large slot from copying and wasting.
	chunkKeys = 128

	// sweepChunks bounds what is swept between two batches of writes: several
	// times as many keys as a batch has.
	sweepChunks = 4 * maxBatch / chunkKeys
)

// add records that key ends at the given second.
func (c *calendar) add(end uint64, key uint64) {
	// Keys that were evicted or refused stay until their slot comes, and a
	// flood brings many. What is not recorded is left to eviction.
	if c.n >= c.max {
		return
	}
	slot := uint32(min(end/slotSeconds, 1<<32-1))
	c.first = min(c.first, slot)
	chunks := c.slots[slot]
	if last := len(chunks) - 1; last < 0 || len(chunks[last]) == cap(chunks[last]) {
		size := chunkKeys
		if len(chunks) == 0 {
			size /= 8 // most slots are small where the cache is
		}
		chunks = append(chunks, make([]uint64, 0, size))
		c.slots[slot] = chunks
	}
	last := len(chunks) - 1
	chunks[last] = append(chunks[last], key)
	c.n++
}

// takeBefore removes and returns a chunk of keys of the first slot, if that is
// over before the given second, else nil.
func (c *calendar) takeBefore(second uint64) []uint64 {
	if len(c.slots) == 0 {
		return nil
	}
	if _, ok := c.slots[c.first]; !ok {
		c.first = math.MaxUint32
		for slot := range c.slots {
			c.first = min(c.first, slot)
		}
	}
	if uint64(c.first) >= second/slotSeconds {
		return nil
	}
	return c.take(c.first)
}

// take removes and returns a chunk of a slot.
func (c *calendar) take(slot uint32) []uint64 {
	chunks := c.slots[slot]
	keys := chunks[len(chunks)-1]
	if chunks = chunks[:len(chunks)-1]; len(chunks) == 0 {
		delete(c.slots, slot)
	} else {
		c.slots[slot] = chunks
	}
	c.n -= len(keys)
	return keys
}

// sweep removes some of the entries whose time is over. It is called once for
// each batch of writes, and takes several times as many keys. Without writes
// nothing needs the room.
func (c *Cache) sweep(writes int) {
	for range 1 + 4*writes/chunkKeys {
		keys := c.calendar.takeBefore(uint64(c.now()))
		if keys == nil {
			return
		}
		for _, key := range keys {
			c.remove(key, c.past)
		}
	}
}

// past reports whether an entry is past all use.
func (c *Cache) past(_ uint64, v value) bool { return c.gone(v.expires, v.answer.keep) }

// makeRoom takes out answers past their TTL, the oldest first, while there is no
// room for these writes. They are kept for the time when a list fails; but what is
// fresh saves a question to the list now, and ristretto would not know which
// is which.
func (c *Cache) makeRoom(batch []*pending) {
	room, keep := c.store.RemainingCost(), uint32(0)
	for _, p := range batch {
		room -= int64(p.cost())
		keep = max(keep, p.keep)
	}
	for i := 0; room < 0 && i < sweepChunks; i++ {
		now := c.now()
		keys := c.calendar.takeBefore(uint64(now) + uint64(keep))
		if keys == nil {
			return
		}
		for _, key := range keys {
			room += c.remove(key, func(_ uint64, v value) bool { return v.expires <= now })
		}
	}
}

// flush removes the entries of zones that are no more. One slot at a time, so
// that writes do not wait long; it reports whether it is done.
func (c *Cache) flush() bool {
	if len(c.flushing) == 0 {
		if c.dead = c.zones.takeDead(); c.dead == nil {
			return true
		}
		c.clearWindow(c.dead)
		c.flushing = slices.Collect(maps.Keys(c.calendar.slots))
	}
	if len(c.flushing) > 0 {
		slot := c.flushing[0]
		c.flushing = c.flushing[1:]
		var all []uint64
		for len(c.calendar.slots[slot]) > 0 {
			all = append(all, c.calendar.take(slot)...)
		}
		for _, key := range all { // what stays goes back into the slot
			c.remove(key, func(key uint64, v value) bool {
				return c.past(key, v) || c.dead[zoneOf(key)]
			})
		}
	}
	return false
}

// remove takes out the entry of a key that was taken from the calendar, if it is
// to go, and returns what it was charged. What stays goes back into the
// calendar.
func (c *Cache) remove(key uint64, goes func(key uint64, v value) bool) int64 {
	hash := c.spread.hash(key)
	v, ok := c.store.Get(hash)
	if !ok {
		return 0 // evicted or refused
	}
	if goes(key, v) {
		c.store.Del(hash)
		return int64(v.answer.cost)
	}
	c.calendar.add(v.end(), key)
	return 0
}
