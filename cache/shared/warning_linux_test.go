package shared

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// TestCache_Watch: the others hear a warning, each once, and who gave it not
// at all; a forged one is heard by nobody.
func TestCache_Watch(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var mu sync.Mutex
	heard := map[string]int{}
	names := func() []string { return []string{"zen.example", "bl.example"} }
	caches := map[string]*client{}
	for _, who := range []string{"a", "b", "c"} {
		c := ready(t, s.url())
		caches[who] = c
		wg.Go(func() {
			c.Watch(ctx, 5*time.Millisecond, names, func(name string) {
				mu.Lock()
				defer mu.Unlock()
				heard[who+" "+name]++
			})
		})
	}
	all := func(want map[string]int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return fmt.Sprint(heard) == fmt.Sprint(want)
		}
	}
	caches["a"].Announce("zen.example", time.Hour)
	want := map[string]int{"b zen.example": 1, "c zen.example": 1}
	eventually(t, fmt.Sprint(want), all(want))
	// What was heard once stays in its place, and a copy is put in another.
	key := func(name string) string { return caches["a"].key(warnings, []byte(name)) }
	raw, err := rueidis.NewClient(rueidis.MustParseURL(s.url() + "?client_cache=0"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	old, err := raw.Do(ctx, raw.B().Get().Key(key("zen.example")).Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Do(ctx, raw.B().Set().Key(key("bl.example")).Value(old).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	caches["b"].Announce("zen.example", time.Hour)
	want = map[string]int{"a zen.example": 1, "b zen.example": 1, "c zen.example": 2}
	eventually(t, fmt.Sprint(want), all(want))
	// An old warning put back is not heard again.
	if err := raw.Do(ctx, raw.B().Set().Key(key("zen.example")).Value(old).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	caches["c"].Announce("bl.example", time.Hour)
	want = map[string]int{"a zen.example": 1, "b zen.example": 1, "c zen.example": 2, "a bl.example": 1, "b bl.example": 1}
	eventually(t, fmt.Sprint(want), all(want))
	if n := caches["b"].count(failed); n > 0 {
		t.Errorf("%d errors", n)
	}
}

// TestCache_Announce_down: a warning given while the server is down or full is
// heard once it takes it.
func TestCache_Announce_down(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := ready(t, s.url()), ready(t, s.url())
	var heard atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, c := range []*client{a, b} {
		wg.Go(func() {
			c.Watch(ctx, 5*time.Millisecond, func() []string { return []string{"bl.example"} }, func(string) { heard.Add(1) })
		})
	}
	s.kill()
	eventually(t, "the server to be missed", func() bool { return !a.up.Load() && !b.up.Load() })
	a.Announce("bl.example", time.Hour)
	a.Announce("over.example", time.Nanosecond)
	s.start()
	eventually(t, "the warning to be heard", func() bool { return heard.Load() > 0 })
	s.do("CONFIG", "SET", "maxmemory", "1")
	b.Announce("bl.example", time.Hour)
	eventually(t, "the warning to be refused", func() bool { return b.count(refused) > 0 })
	s.do("CONFIG", "SET", "maxmemory", "0")
	eventually(t, "the second to be heard", func() bool { return heard.Load() > 1 })
	eventually(t, "nothing to be told any more", func() (none bool) {
		none = true
		a.untold.Range(func(_, _ any) bool {
			none = false
			return false
		})
		return none
	})
	if n := heard.Load(); n != 2 {
		t.Errorf("two warnings were heard %d times", n)
	}
}
