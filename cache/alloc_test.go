//go:build !race

package cache

import "testing"

// A hit and a miss are on every question's way. The race detector changes
// allocation, so the file carries the tag !race.
func TestCache_Get_allocs(t *testing.T) {
	c, _ := newCache(t, Options{})
	z, name := c.Zone("z", ""), []byte("\x03www\x07example\x03com")
	c.Set(z.IP4(1, addr(1)), "data", 60, 0)
	c.Set(z.Name(1, name), "data", 60, 0)
	for _, settled := range []bool{false, true} {
		if settled {
			settle(c)
		}
		tests := map[string]func(){
			"IPv4 hit":  func() { c.Get(z.IP4(1, addr(1))) },
			"IPv4 miss": func() { c.Get(z.IP4(1, addr(2))) },
			"name hit":  func() { c.Get(z.Name(1, name)) },
			"name miss": func() { c.Get(z.Name(16, name)) },
		}
		for what, get := range tests {
			if n := testing.AllocsPerRun(2000, get); n != 0 {
				t.Errorf("settled %t: %s allocates %v times, want 0", settled, what, n)
			}
		}
	}
}
