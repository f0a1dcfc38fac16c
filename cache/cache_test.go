package cache

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
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

// settle waits until all writes have left the shards. Reaching the queue's end
// is what the drainer is for, so the loop ends.
func settle(c *Cache) {
	for len(c.queued) > 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
		c.store.Wait()
	}
}

func TestCache_set_is_visible_at_once(t *testing.T) {
	c, _ := newCache(t, Options{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			z := c.Zone(fmt.Sprintf("zone%d", w), "")
			for i := range uint32(10_000) {
				k := z.IP4(1, addr(i))
				if w%2 == 1 {
					k = z.Name(1, binary.BigEndian.AppendUint32(nil, i))
				}
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
}
