package cache

import (
	"fmt"
	"testing"
)

// own is an answer that nobody else has: it goes into the store without a stay in the
// window.
func own[T uint32 | int](i T) string { return fmt.Sprintf("%0*d", maxShared+1, i) }

// fullStore is how many of these nearly fill a store.
func fullStore(c *Cache) uint32 { return uint32(c.maxBytes/(EntryBytes+sharedBytes+maxShared+1)) - 200 }

// fillOften stores n keys of z and asks for them often enough that the
// admission policy thinks highly of them.
func fillOften(c *Cache, z Zone, n uint32) {
	for range 15 {
		for i := range n {
			if _, ok := c.Get(z.IP4(1, addr(i))); !ok {
				c.Set(z.IP4(1, addr(i)), own(i), 600, 60)
			}
		}
		settle(c)
	}
}

// What is dead, whether its time or its zone is over, makes room at once for
// what is new, however popular it was.
func TestCache_dead_entries_make_room(t *testing.T) {
	for _, how := range []string{"expired", "flushed"} {
		t.Run(how, func(t *testing.T) {
			c, clk := newCache(t, Options{MaxBytes: 12 << 20})
			full := fullStore(c)
			z := c.Zone("z", "1")
			fillOften(c, z, full)
			if c.Len() < int(full)*9/10 {
				t.Fatalf("Len = %d, want it nearly full with %d", c.Len(), full)
			}
			if how == "expired" {
				clk.now.Add(600 + 60 + slotSeconds)
			} else {
				z = c.Zone("z", "2")
			}
			// The first writes drive the dead out, the next ones find room.
			const asked = 2000
			for _, from := range []uint32{1 << 20, 2 << 20} {
				for i := range uint32(asked) {
					c.Set(z.IP4(1, addr(from+i)), own(from+i), 600, 60)
				}
				settle(c)
			}
			hits := 0
			for i := range uint32(asked) {
				if _, ok := c.Get(z.IP4(1, addr(2<<20+i))); ok {
					hits++
				}
			}
			if hits != asked {
				t.Errorf("%d of %d new answers were kept", hits, asked)
			}
			for c.Len() > 2*asked {
				before := c.Len()
				c.Set(z.IP4(1, addr(3<<20)), own(3<<20), 600, 60)
				settle(c)
				if c.Len() >= before {
					t.Fatalf("Len stays at %d, want at most %d", before, 2*asked)
				}
			}
		})
	}
}

// Answers past their TTL stay for the time when a list fails, but only where no
// fresh answer needs their room, however popular they were.
func TestCache_stale_gives_way_to_fresh(t *testing.T) {
	c, clk := newCache(t, Options{MaxBytes: 12 << 20})
	full := fullStore(c)
	z := c.Zone("z", "")
	fillOften(c, z, full)
	clk.now.Add(600 + slotSeconds) // of 660
	count := func(from, n uint32) (there int) {
		for i := range n {
			if _, ok := c.Get(z.IP4(1, addr(from+i))); ok {
				there++
			}
		}
		return there
	}
	before := count(0, full)
	const asked = 1000
	for i := range uint32(asked) {
		c.Set(z.IP4(1, addr(1<<20+i)), own(1<<20+i), 600, 60)
	}
	settle(c)
	if got := count(1<<20, asked); got != asked {
		t.Errorf("%d of %d fresh answers were kept", got, asked)
	}
	if got := count(0, full); got < before-2*asked || got >= before {
		t.Errorf("%d of %d stale answers are left, want room made for %d", got, before, asked)
	}
}

// A living entry outlasts the slot it was recorded in, as long as it is
// renewed, and goes in the end.
func TestCache_sweep_leaves_the_living(t *testing.T) {
	c, clk := newCache(t, Options{})
	z, other := c.Zone("z", ""), c.Zone("other", "")
	k := z.Name(1, []byte("renewed"))
	for i := range uint32(20) {
		c.Set(k, fmt.Sprint(i), 100, 0)
		settle(c)
		clk.now.Add(90)
		c.Set(other.IP4(1, addr(i)), own(i), 1, 0)
		settle(c)
		if e, ok := c.Get(k); !ok || e.Data != fmt.Sprint(i) {
			t.Fatalf("round %d: Get = %q, %t", i, e.Data, ok)
		}
	}
	if c.calendar.n > c.Len()+2 {
		t.Errorf("%d records for %d entries", c.calendar.n, c.Len())
	}
	clk.now.Add(1000)
	c.Set(other.IP4(1, addr(99)), own(99), 1, 0)
	settle(c)
	c.Set(other.IP4(1, addr(99)), own(99), 1, 0)
	settle(c)
	if c.Len() != 1 {
		t.Errorf("Len = %d, want the last tick only", c.Len())
	}
}

// The calendar stays within its bound however many keys pass by.
func TestCalendar_bound(t *testing.T) {
	c, _ := newCache(t, Options{MaxBytes: MinBytes})
	z := c.Zone("z", "")
	for i := range uint32(25_000) {
		c.Set(z.IP4(1, addr(i)), "data", 3600, 3600)
	}
	c.Close()
	if c.calendar.n > c.calendar.max || c.calendar.n == 0 {
		t.Errorf("%d records, want at most %d", c.calendar.n, c.calendar.max)
	}
	n := 0
	for _, chunks := range c.calendar.slots {
		for _, keys := range chunks {
			n += len(keys)
		}
	}
	if n != c.calendar.n {
		t.Errorf("n = %d, want %d", c.calendar.n, n)
	}
}
