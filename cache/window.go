package cache

import "slices"

// The window holds the newest answers. What is set enters here, and what leaves to
// make room goes into the store, whose admission says whether it stays. Most
// answers of a blocklist are asked for once and are over before they leave: the
// store never hears of them. There an entry takes EntryBytes and some thousand
// instructions to write; here it takes 28 and some hundred.
//
// The window takes answers that others have too, which are nearly all there are. It
// is a set-associative table, a part of it in each shard and guarded by its lock, and
// without pointers, so that the collector passes it by.

const (
	ways        = 9
	bucketBytes = 256 // four cache lines, of which a Get needs two or three

	// windowEighths is the window's share of all memory. With more of it the store
	// is too small to keep what is popular, with less there is room for fewer
	// answers; a quarter to a half hardly differ.
	windowEighths = 3
)

// bucket is where the answers to some keys are.
type bucket struct {
	keys   [ways]uint64 // 0 is none
	checks [ways]uint64
	cells  [ways]cell

	// renewed has a bit for each place. It is set if the store may have an older
	// answer to the key, which must not come to light again.
	renewed uint32
}

// cell is to the window what value is to the store.
type cell struct {
	word    uint32 // in answers.words
	expires uint32
	life    uint32
}

// windowBuckets returns how many buckets each shard has.
func windowBuckets(maxBytes int64) int {
	return int(maxBytes / 8 * windowEighths / numShards / bucketBytes)
}

// bucket returns where the answer to a key is, if it is in the window.
func (s *shard) bucket(hash uint64) *bucket {
	stirred := hash * 0x9e3779b97f4a7c15 >> 32 // what keys of one shard have in common is among its bits
	return &s.window[stirred*uint64(len(s.window))>>32]
}

// find returns the place of a key, -1 if it has none.
func (b *bucket) find(packed, check uint64) int {
	for i, k := range &b.keys {
		if k == packed && b.checks[i] == check {
			return i
		}
	}
	return -1
}

// next returns the place for a new key: a free one, else that of the answer that is
// past its TTL for the longest time, else of the one that was set first.
func (b *bucket) next(now uint32) (place int) {
	least := ^uint64(0)
	for i, cell := range &b.cells {
		if b.keys[i] == 0 {
			return i
		}
		age := uint64(cell.expires)
		if cell.expires > now {
			age = 1<<32 | uint64(cell.expires-cell.life)
		}
		if age < least {
			place, least = i, age
		}
	}
	return place
}

// enter puts w into the window, in the place of an earlier answer to its key, whose
// shard is locked. After it w is what is to be written into the store: what had to
// leave, or still w if it is none for the window. It returns false for nothing.
func (c *Cache) enter(s *shard, w *write) bool {
	b := s.bucket(w.hash)
	place := b.find(w.packed, w.check)
	word, ok := c.answers.word(w.data, w.keep)
	if !ok {
		if place >= 0 {
			c.clear(s, b, place)
		}
		return true
	}
	in, packed, check := cell{word, w.expires, w.life}, w.packed, w.check
	renewed := s.missed.Load() != packed // what was looked for in vain is not in the store
	left := false
	if place >= 0 {
		renewed = b.renewed>>place&1 != 0
	} else {
		now := c.now()
		place = b.next(now)
		left = c.out(b, place, w, now)
	}
	c.clear(s, b, place)
	b.keys[place], b.checks[place], b.cells[place] = packed, check, in
	if renewed {
		b.renewed |= 1 << place
	}
	s.held++
	return left
}

// out makes w the write of what is in a place; false if there is none to make. Of
// what nobody will need only an older answer is to go, if the store may have one.
func (c *Cache) out(b *bucket, place int, w *write, now uint32) bool {
	packed, cell := b.keys[place], b.cells[place]
	if packed == 0 {
		return false
	}
	a := c.answers.words[cell.word]
	needless := c.gone(cell.expires, a.keep) || cell.expires <= now && c.full()
	if needless && b.renewed>>place&1 == 0 {
		return false
	}
	*w = write{packed: packed, check: b.checks[place], hash: c.spread.hash(packed)}
	if !needless {
		w.data, w.expires, w.life, w.keep = a.data, cell.expires, cell.life, a.keep
	}
	return true
}

// clear frees a place, if something is there. The shard is locked.
func (c *Cache) clear(s *shard, b *bucket, place int) {
	if b.keys[place] == 0 {
		return
	}
	c.answers.forget(b.cells[place].word)
	b.keys[place], b.checks[place], b.cells[place] = 0, 0, cell{}
	b.renewed &^= 1 << place
	s.held--
}

// clearWindow frees the places of the keys of zones that are no more.
func (c *Cache) clearWindow(dead map[uint32]bool) {
	for i := range c.shards {
		s := &c.shards[i]
		for some := range slices.Chunk(s.window, 64) { // others have the lock in between
			s.mu.Lock()
			for j := range some {
				b := &some[j]
				for place, packed := range &b.keys {
					if packed != 0 && dead[zoneOf(packed)] {
						c.clear(s, b, place)
					}
				}
			}
			s.mu.Unlock()
		}
	}
}
