package cache

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// clock is a hand-driven clock.
type clock struct{ now atomic.Uint32 }

func (c *clock) Now() uint32 { return c.now.Load() }

func newCache(t testing.TB, o Options) (*Cache, *clock) {
	t.Helper()
	clk := &clock{}
	clk.now.Store(1000)
	o.Now = clk.Now
	if o.MaxBytes == 0 {
		o.MaxBytes = 16 << 20
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, clk
}

func addr(i uint32) (a [4]byte) {
	binary.BigEndian.PutUint32(a[:], i)
	return a
}

// settle waits until the drainer and ristretto have done all there is to do.
func settle(c *Cache) {
	c.Settle()
	c.store.Wait()
}

func TestNew_refuses(t *testing.T) {
	now := func() uint32 { return 0 }
	for _, o := range []Options{{MaxBytes: MinBytes}, {Now: now}, {Now: now, MaxBytes: MinBytes - 1}} {
		if c, err := New(o); err == nil {
			c.Close()
			t.Errorf("New(MaxBytes %d, clock %t) = nil, want an error", o.MaxBytes, o.Now != nil)
		}
	}
}

func TestCache_set_is_visible_at_once(t *testing.T) {
	c, _ := newCache(t, Options{})
	var wg sync.WaitGroup
	for w := range 4 {
		z := c.Zone(fmt.Sprintf("zone%d", w), "")
		key := func(i uint32) Key {
			if w%2 == 1 {
				return z.Name(1, binary.BigEndian.AppendUint32(nil, i))
			}
			return z.IP4(1, addr(i))
		}
		wg.Go(func() { // looks in vain for what is about to be set
			for i := range uint32(10_000) {
				c.Get(key(i))
			}
		})
		wg.Go(func() {
			for i := range uint32(10_000) {
				k := key(i)
				c.Get(k)
				want := fmt.Sprint(w, i%100)
				c.Set(k, want, 60, 0)
				if got, ok := c.Get(k); !ok || got.Data != want {
					t.Errorf("Get just after Set = %q, %t, want %q", got.Data, ok, want)
					return
				}
			}
		})
	}
	wg.Wait()
	settle(c)
	if c.Dropped() != 0 {
		t.Errorf("ristretto dropped %d writes, want 0", c.Dropped())
	}
}

// Writers count their keys up while readers watch: no key may ever go back.
func TestCache_overwrite_keeps_the_newest(t *testing.T) {
	c, _ := newCache(t, Options{})
	z := c.Zone("z", "")
	const keys, versions = 50, 400
	var writers, readers sync.WaitGroup
	var done atomic.Bool
	for range 2 {
		readers.Go(func() {
			var seen [keys]int
			for !done.Load() {
				for i := range seen {
					e, _ := c.Get(z.IP4(1, addr(uint32(i))))
					if v := len(e.Data); v < seen[i] {
						t.Errorf("key %d went back from version %d to %d", i, seen[i], v)
						return
					}
					seen[i] = len(e.Data)
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for v := 1; v <= versions; v++ {
				for i := w; i < keys; i += 2 {
					c.Set(z.IP4(1, addr(uint32(i))), strings.Repeat("x", v), 60, 0)
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	settle(c)
	for i := range keys {
		if e, _ := c.Get(z.IP4(1, addr(uint32(i)))); len(e.Data) != versions {
			t.Errorf("key %d has version %d, want %d", i, len(e.Data), versions)
		}
	}
	if c.Len() != keys {
		t.Errorf("Len = %d, want %d", c.Len(), keys)
	}
}

func TestCache_expiry(t *testing.T) {
	c, clk := newCache(t, Options{})
	k := c.Zone("z", "").IP4(1, addr(1))
	c.Set(k, "data", 60, 30)
	for _, settled := range []bool{false, true} {
		if settled {
			settle(c)
		}
		tests := []struct {
			now uint32
			ok  bool
		}{{1000, true}, {1059, true}, {1060, true}, {1089, true}, {1090, false}}
		for _, tt := range tests {
			clk.now.Store(tt.now)
			e, ok := c.Get(k)
			if ok != tt.ok || ok && (e.Expires != 1060 || e.Life != 60) {
				t.Errorf("settled %t, at %d: Get = %+v, %t, want %t, to expire at 1060", settled, tt.now, e, ok, tt.ok)
			}
		}
		clk.now.Store(1000)
	}
}

func TestCache_expiry_at_the_end_of_the_clock(t *testing.T) {
	c, clk := newCache(t, Options{})
	k := c.Zone("z", "").IP4(1, addr(1))
	clk.now.Store(^uint32(0) - 10)
	c.Set(k, "data", 3600, 100)
	if e, ok := c.Get(k); !ok || e.Expires != ^uint32(0) {
		t.Errorf("Get = %+v, %t, want it to expire with the clock", e, ok)
	}
}

// With all hashes equal, each name gets its own answer or none.
func TestCache_collisions_never_cross(t *testing.T) {
	c, _ := newCache(t, Options{})
	c.hashMask = 0
	z, other := c.Zone("z", ""), c.Zone("other", "")
	keys := map[string]Key{
		"name":         z.Name(1, []byte("\x01a\x01b")),
		"other name":   z.Name(1, []byte("\x01a\x01c")),
		"other type":   z.Name(16, []byte("\x01a\x01b")),
		"other zone":   other.Name(1, []byte("\x01a\x01b")),
		"same as v4":   z.Name(1, []byte{1, 2, 3, 4}),
		"IPv4, exact":  z.IP4(1, [4]byte{1, 2, 3, 4}),
		"empty name":   z.Name(1, nil),
		"exact, other": z.IP4(1, [4]byte{1, 2, 3, 5}),
	}
	for _, where := range []string{"waiting", "store", "window"} {
		for set, k := range keys {
			if where == "window" {
				shared(c, 0, set)
			}
			c.Set(k, set, 60, 0)
			if where == "store" {
				settle(c)
			}
			if e, ok := c.Get(k); !ok || e.Data != set {
				t.Errorf("%s: Get(%s) = %q, %t, want its own answer", where, set, e.Data, ok)
			}
			for asked, k := range keys {
				if e, ok := c.Get(k); ok && e.Data != asked {
					t.Errorf("%s: Get(%s) = %q", where, asked, e.Data)
				}
			}
		}
	}
}

func TestCache_zone_flush(t *testing.T) {
	c, _ := newCache(t, Options{})
	a, b := c.Zone("a", "1"), c.Zone("b", "1")
	for _, z := range []Zone{a, b} {
		c.Set(z.IP4(1, addr(1)), "v4", 60, 60)
		c.Set(z.Name(1, []byte("n")), "name", 60, 60)
	}
	settle(c)
	if c.Zone("a", "1") != a {
		t.Error("the same fingerprint gives another zone")
	}
	changed := c.Zone("a", "2")
	for _, k := range []Key{changed.IP4(1, addr(1)), changed.Name(1, []byte("n")), c.Zone("a", "1").IP4(1, addr(1))} {
		if e, ok := c.Get(k); ok {
			t.Errorf("a changed zone still answers %q", e.Data)
		}
	}
	for _, k := range []Key{b.IP4(1, addr(1)), b.Name(1, []byte("n"))} {
		if _, ok := c.Get(k); !ok {
			t.Error("flushing a zone took another's answers")
		}
	}
}

func TestCache_without_zone_ids(t *testing.T) {
	c, _ := newCache(t, Options{})
	c.zones.last = maxZone - 1
	last := c.Zone("last", "")
	c.Set(last.IP4(255, [4]byte{255, 255, 255, 255}), "last", 60, 0)
	if e, ok := c.Get(last.IP4(255, [4]byte{255, 255, 255, 255})); !ok || e.Data != "last" {
		t.Errorf("the last zone: %q, %t", e.Data, ok)
	}
	none := c.Zone("none", "")
	for _, k := range []Key{none.IP4(1, addr(1)), none.Name(1, nil), {}} {
		c.Set(k, "data", 60, 0)
		if _, ok := c.Get(k); ok {
			t.Error("a zone without an id answers")
		}
	}
}

// The bounds hold under floods of each shape: equal short answers, distinct
// short ones, more than the window has numbers for, long ones, and names.
func TestCache_bounds(t *testing.T) {
	const maxBytes = MinBytes
	floods := map[string]func(z Zone, i uint32) (Key, string){
		"equal":    func(z Zone, i uint32) (Key, string) { return z.IP4(1, addr(i)), "nx" },
		"distinct": func(z Zone, i uint32) (Key, string) { return z.IP4(1, addr(i)), fmt.Sprintf("%0200d", i) },
		"several":  func(z Zone, i uint32) (Key, string) { return z.IP4(1, addr(i)), fmt.Sprintf("%0250d", i*i%1009) },
		"keeps":    func(z Zone, i uint32) (Key, string) { return z.IP4(1, addr(i)), "nx" },
		"long":     func(z Zone, i uint32) (Key, string) { return z.IP4(1, addr(i)), fmt.Sprintf("%02000d", i) },
		"names": func(z Zone, i uint32) (Key, string) {
			return z.Name(1, fmt.Appendf(nil, "%0100d", i)), "nx"
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			c, _ := newCache(t, Options{MaxBytes: maxBytes})
			z := c.Zone("z", "")
			for i := range uint32(40_000) {
				k, data := flood(z, i)
				keep := uint32(0)
				if name == "keeps" {
					keep = i
				}
				c.Set(k, data, 60, keep)
			}
			settle(c)
			// Shared answers are brought into the bound after each batch.
			if slack := int64(maxBatch * (maxShared + sharedBytes)); c.Bytes() > maxBytes+slack {
				t.Errorf("Bytes = %d, want at most %d", c.Bytes(), maxBytes+slack)
			}
			if most := Capacity(maxBytes); c.Len() > most {
				t.Errorf("Len = %d, want at most %d", c.Len(), most)
			}
			if c.Len() == 0 {
				t.Error("nothing was kept")
			}
		})
	}
}

// What is counted is what the heap takes, also when the cache has been full for long:
// ristretto's maps are emptier then. Beside it stand the writes that wait.
func TestCache_heap(t *testing.T) {
	const maxBytes = 12 << 20
	before := heapBytes()
	c, _ := newCache(t, Options{MaxBytes: maxBytes})
	z := c.Zone("z", "")
	for i := range uint32(2 * Capacity(maxBytes)) {
		c.Set(z.IP4(1, addr(i)), "nx", 60, 0)
	}
	settle(c)
	waiting := int64(maxQueued) * 150
	if took := heapBytes() - before; took > maxBytes*13/12+waiting {
		t.Errorf("answers counted as %d bytes take %d", c.Bytes(), took-waiting)
	}
}

// Every byte and reference that a value takes is given back, whatever way it
// leaves: replaced, evicted, refused, or at the end.
func TestCache_accounting(t *testing.T) {
	c, _ := newCache(t, Options{MaxBytes: MinBytes})
	z := c.Zone("z", "")
	for i := range uint32(20_000) {
		c.Set(z.IP4(1, addr(i%9000)), fmt.Sprint(i%700), 60, 0)
		c.Set(z.Name(1, fmt.Append(nil, i%300)), strings.Repeat("x", int(i%400)), 60, i%3)
	}
	settle(c)
	if c.Len() == 0 || c.Bytes() == 0 {
		t.Error("nothing was kept")
	}
	c.Close()
	clearAll(c)
	if c.Len() != 0 || c.Bytes() != 0 || len(c.answers.byKey) != 0 {
		t.Errorf("after Close: %d entries, %d bytes, %d shared answers; want none", c.Len(), c.Bytes(), len(c.answers.byKey))
	}
}

// clearAll gives back what the window of a closed cache holds.
func clearAll(c *Cache) {
	all := map[uint32]bool{}
	for id := range c.zones.last + 1 {
		all[id], all[markHashed(id)] = true, true
	}
	c.clearWindow(all)
}

func TestCache_equal_answers_are_kept_once(t *testing.T) {
	c, _ := newCache(t, Options{})
	z := c.Zone("z", "")
	for i := range uint32(1000) {
		c.Set(z.IP4(1, addr(i)), strings.Repeat("n", 100), 60+i%60, 3600)
		c.Set(z.Name(1, fmt.Append(nil, i)), strings.Repeat("n", 100), 60, 3600)
	}
	settle(c)
	if n := len(c.answers.byKey); n != 1 {
		t.Errorf("%d shared answers, want 1", n)
	}
}

// Close while writers and readers are at work: nothing panics, everybody
// comes back, and no goroutine is left, which the bubble checks.
func TestCache_close_under_load(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Options{MaxBytes: MinBytes, Now: func() uint32 { return 1 }})
			if err != nil {
				t.Fatal(err)
			}
			z := c.Zone("z", "")
			var wg sync.WaitGroup
			var stop atomic.Bool
			started := make(chan struct{}, 4)
			for w := range 4 {
				wg.Go(func() {
					for i := uint32(w); !stop.Load(); i++ {
						c.Set(z.IP4(1, addr(i)), "data", 60, 0)
						c.Get(z.IP4(1, addr(i)))
						if i == uint32(w)+100 {
							started <- struct{}{}
						}
					}
				})
			}
			for range 4 {
				<-started
			}
			c.Close()
			c.Close()
			if _, ok := c.Get(z.IP4(1, addr(1))); ok {
				t.Error("a closed cache answers")
			}
			c.Set(z.IP4(1, addr(1)), "data", 60, 0)
			stop.Store(true)
			wg.Wait()
		})
	}
}
