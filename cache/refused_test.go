package cache

import (
	"fmt"
	"strings"
	"testing"
)

// What ristretto does not take is there for a while all the same, the latest
// answer first, and no more of it than the ring holds.
func TestCache_refused_answers_stay_for_a_while(t *testing.T) {
	c, clk := newCache(t, Options{})
	c.maxBytes = 0 // it takes nothing
	c.store.UpdateMaxCost(0)
	z := c.Zone("z", "")
	room := uint32(len(c.refused.ring))
	there := func(from uint32, data string) (n int) {
		for i := range room {
			if e, ok := c.Get(named(z, from+i)); ok && e.Data == data {
				n++
			}
		}
		return n
	}
	for _, data := range []string{"first", "second"} {
		for i := range room {
			c.Set(named(z, i), data, 600, 0)
		}
		settle(c)
		if n := there(0, data); n != int(room) {
			t.Errorf("%d of %d answers are there with %q", n, room, data)
		}
	}
	for i := range room {
		c.Set(named(z, 1<<20+i), "later", 60, 0)
	}
	settle(c)
	if old, later := there(0, "second"), there(1<<20, "later"); old != 0 || later != int(room) {
		t.Errorf("%d old and %d later answers are there, want the later %d", old, later, room)
	}
	clk.now.Add(60)
	if n := there(1<<20, "later"); n != 0 {
		t.Errorf("%d answers outlast their life", n)
	}
	c.Set(named(z, 1<<21), strings.Repeat("x", maxShared+1), 60, 0)
	settle(c)
	if _, ok := c.Get(named(z, 1<<21)); ok {
		t.Error("a long text is kept")
	}
	c.hashMask = 0 // names are compared there too
	for i := range 10 {
		c.Set(z.Name(1, fmt.Append(nil, "name", i)), "data", 600, 0)
		settle(c)
		if e, ok := c.Get(z.Name(1, []byte("other"))); ok {
			t.Fatalf("another name's answer: %+v", e)
		}
	}
}
