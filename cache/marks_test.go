package cache

import "testing"

// A mark is of one key and one answer, and lasts until another takes its place.
func TestCache_marks(t *testing.T) {
	c, _ := newCache(t, Options{})
	z, other := c.Zone("z", ""), c.Zone("other", "")
	k, e := z.IP4(1, addr(1)), Entry{Expires: 1300}
	c.Mark(k, e)
	if !c.Marked(k, e) {
		t.Error("a mark is gone at once")
	}
	for name, not := range map[string]bool{
		"renewed":      c.Marked(k, Entry{Expires: 1600}),
		"another zone": c.Marked(other.IP4(1, addr(1)), e),
		"another type": c.Marked(z.IP4(16, addr(1)), e),
		"another one":  c.Marked(z.IP4(1, addr(2)), e),
	} {
		if not {
			t.Errorf("%s: marked", name)
		}
	}
	c.Mark(k, Entry{Expires: 1600})
	if c.Marked(k, e) {
		t.Error("the mark of an older answer is still there")
	}
	kept := 0
	const n = 1000
	for i := range uint32(n) {
		c.Mark(z.IP4(1, addr(i)), e)
	}
	for i := range uint32(n) {
		if c.Marked(z.IP4(1, addr(i)), e) {
			kept++
		}
	}
	if kept < n*9/10 {
		t.Errorf("%d of %d marks are there, with room for %d", kept, n, len(c.marks))
	}
}
