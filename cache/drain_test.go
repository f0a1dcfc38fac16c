package cache

import (
	"testing"
	"testing/synctest"
	"time"
)

// What is set gets into the store by itself: a few writes wait for company, a
// portion of them does not, and what comes meanwhile gets there too.
func TestCache_drains_by_itself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newCache(t, Options{})
		z := c.Zone("z", "")
		n := 0
		set := func(i uint32) { // what nobody else has goes into the store at once
			n++
			c.Set(z.IP4(1, addr(i)), own(n), 60, 0)
		}
		waiting := func() int64 {
			synctest.Wait()
			return c.queue.n.Load()
		}
		for from := uint32(0); from < 10_000; from += 1000 {
			for i := range uint32(portion - 1) {
				set(from + i)
			}
			time.Sleep(gatherFor / 2)
			if n := waiting(); n != portion-1 {
				t.Errorf("%d writes wait for company, want %d", n, portion-1)
			}
			for i := range uint32(1000) {
				set(from + i)
			}
			time.Sleep(2 * 1000 / portion * breathingFor)
			if n := waiting(); n >= portion {
				t.Errorf("%d writes wait, which are a portion", n)
			}
			set(from)
			time.Sleep(2 * gatherFor)
			if n := waiting(); n != 0 {
				t.Fatalf("%d writes wait long after they were set", n)
			}
			set(from)
			time.Sleep(2 * gatherFor)
			if n := waiting(); n != 0 {
				t.Fatal("a write into the quiet waits for others")
			}
		}
		for range maxQueued / 2 {
			set(1)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := c.queue.n.Load(); n >= rush {
			t.Errorf("%d writes wait in a rush", n)
		}
		c.Close()
	})
}

// A pending write that was replaced while it was made can be used again.
func TestCache_uses_replaced_writes_again(t *testing.T) {
	c, _ := newCache(t, Options{})
	k := c.Zone("z", "").IP4(1, addr(1))
	w := write{packed: k.packed, hash: c.spread.hash(k.packed), data: own(1)}
	p := c.add(c.shard(w.hash), &w)
	p.replaced.Store(true)
	c.leave(p)
	c.Set(k, own(2), 60, 0)
	settle(c)
	if v, ok := c.store.Get(w.hash); !ok || v.answer.data != own(2) {
		t.Errorf("the next write of its shard is not made: %+v, %t", v, ok)
	}
}

// Settle leaves nothing on its way, and comes back after Close too.
func TestCache_Settle(t *testing.T) {
	c, _ := newCache(t, Options{})
	z := c.Zone("z", "")
	for i := range uint32(3000) {
		c.Set(z.IP4(1, addr(i)), "data", 60, 0)
		if i%1000 == 999 {
			c.Settle()
			if n := c.queue.n.Load(); n != 0 {
				t.Fatalf("%d writes wait after Settle", n)
			}
		}
	}
	if c.Len() != 3000 {
		t.Errorf("Len = %d, want 3000", c.Len())
	}
	c.Close()
	c.Settle()
}
