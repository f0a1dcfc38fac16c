package cache

import (
	"math/bits"
	"sync/atomic"
)

// marks remembers of entries that they were asked for, for as long as their
// answer stays the same. It is a small table in which the later entry takes the
// place of the earlier one: a mark may get lost, and next to never appears by
// itself.
type marks []atomic.Uint32

// newMarks has a place for every eighth entry: few are asked for often enough to
// be marked at all.
func newMarks(capacity int64) marks {
	return make(marks, 1<<bits.Len64(uint64(min(max(capacity/8, 1<<10), 1<<18)-1)))
}

// place is where the mark of an entry is, and what it looks like there.
func (m marks) place(packed uint64, expires uint32) (at *atomic.Uint32, mark uint32) {
	x := mix63(packed)
	return &m[x&uint64(len(m)-1)], uint32(mix63(x^uint64(expires)<<31)>>31) | 1
}

// Mark notes that k was asked for while e was its answer. It neither allocates
// nor writes what stands there already.
func (c *Cache) Mark(k Key, e Entry) {
	if at, mark := c.marks.place(k.packed, e.Expires); at.Load() != mark {
		at.Store(mark)
	}
}

// Marked reports whether that was noted.
func (c *Cache) Marked(k Key, e Entry) bool {
	at, mark := c.marks.place(k.packed, e.Expires)
	return at.Load() == mark
}
