package cache

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
	n     int                   // keys in all slots
	max   int                   // more than this are not recorded
}

const (
	// slotSeconds is the width of a slot. A dead entry goes that late at most,
	// if there are writes.
	slotSeconds = 64

	// chunkKeys keeps the growth of a slot from copying and wasting.
	chunkKeys = 128
)

// add records that key ends at the given second.
func (c *calendar) add(end uint64, key uint64) {
	// Keys that were evicted or refused stay until their slot comes, and a
	// flood brings many. What is not recorded is left to eviction.
	if c.n >= c.max {
		return
	}
	slot := uint32(min(end/slotSeconds, 1<<32-1))
	chunks := c.slots[slot]
	if last := len(chunks) - 1; last < 0 || len(chunks[last]) == chunkKeys {
		chunks = append(chunks, make([]uint64, 0, chunkKeys))
	}
	last := len(chunks) - 1
	chunks[last] = append(chunks[last], key)
	c.slots[slot] = chunks
	c.n++
}

// takeDue removes and returns a chunk of keys of a slot that is over, nil when
// there is none.
func (c *calendar) takeDue(now uint32) []uint64 {
	for slot := range c.slots {
		if slot < now/slotSeconds {
			return c.take(slot)
		}
	}
	return nil
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
		keys := c.calendar.takeDue(c.now())
		if keys == nil {
			return
		}
		for _, key := range keys {
			c.removeDead(key, nil)
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
		for slot := range c.calendar.slots {
			c.flushing = append(c.flushing, slot)
		}
	}
	if len(c.flushing) > 0 {
		slot := c.flushing[0]
		c.flushing = c.flushing[1:]
		var all [][]uint64
		for len(c.calendar.slots[slot]) > 0 {
			all = append(all, c.calendar.take(slot))
		}
		for _, keys := range all {
			for _, key := range keys {
				c.removeDead(key, c.dead)
			}
		}
	}
	return false
}

// removeDead removes the entry of a key that was taken from the calendar, if
// it is past all use or its zone is among the dead ones. A living entry goes
// back into the calendar.
func (c *Cache) removeDead(key uint64, dead map[uint32]bool) {
	v, ok := c.store.Get(key)
	if !ok {
		return // evicted or refused
	}
	if c.gone(v.expires, v.answer.keep) || dead[zoneOf(key, v.answer.head)] {
		c.store.Del(key)
		return
	}
	c.calendar.add(v.end(), key)
}
