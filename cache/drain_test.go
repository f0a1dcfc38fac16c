package cache

import "testing"

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
