package cache

import (
	"fmt"
	"math/bits"
	"testing"
	"unsafe"
)

// A bucket fills its cache lines.
var _ [bucketBytes]byte = [unsafe.Sizeof(bucket{})]byte{}

// shared makes data an answer that others have, so that the window takes it.
func shared(c *Cache, keep uint32, data ...string) {
	z := c.Zone("shared", "")
	for _, data := range data {
		c.Set(z.Name(1, fmt.Append(nil, data, keep)), data, 1<<20, keep)
	}
	settle(c)
}

// Answers stay in the window until newer ones need their place, the oldest going
// first, and are in the store from then on.
func TestWindow_leaving(t *testing.T) {
	c, clk := newCache(t, Options{})
	shared(c, 30, "data")
	z := c.Zone("z", "")
	crowd := crowd(c, z)
	before := c.entries.Load()
	for i, a := range crowd {
		c.Set(z.IP4(1, a), "data", 600, 30)
		clk.now.Add(1)
		if n := c.held(); n != min(i+1, ways) {
			t.Fatalf("%d answers are in the window after %d", n, i+1)
		}
	}
	settle(c)
	if n := c.entries.Load() - before; n != int64(len(crowd)-ways) {
		t.Errorf("%d answers are in the store, want what left the window, %d", n, len(crowd)-ways)
	}
	for i, a := range crowd {
		e, ok := c.Get(z.IP4(1, a))
		if want := (Entry{1600 + uint32(i), 600, "data"}); !ok || e != want {
			t.Errorf("Get(%v) = %v, %t, want %v", a, e, ok, want)
		}
		if b := c.shards[0].bucket(0); b.find(z.IP4(1, a).packed, 0) >= 0 != (i >= len(crowd)-ways) {
			t.Errorf("answer %d of %d is not where it is to be", i, len(crowd))
		}
	}
}

// Answers that are no use any more leave for good, and before those that are.
func TestWindow_dead_answers_go_first(t *testing.T) {
	c, clk := newCache(t, Options{})
	shared(c, 30, "data")
	shared(c, 0, "data")
	z := c.Zone("z", "")
	crowd := crowd(c, z)
	for _, a := range crowd[2*ways:] { // nobody looked: they may be in the store
		c.Set(z.IP4(1, a), "data", 1, 0)
	}
	clk.now.Add(1)
	for i, a := range crowd[:ways] {
		c.Get(z.IP4(1, a))
		c.Set(z.IP4(1, a), "data", 600+1000*uint32(i&1), 30)
	}
	clk.now.Add(630)
	settle(c)
	before := c.entries.Load()
	for _, a := range crowd[ways : ways+ways/2] {
		k := z.IP4(1, a)
		c.Get(k)
		w := write{packed: k.packed, hash: c.spread.hash(k.packed), data: "data", expires: clk.Now() + 600, life: 600, keep: 30}
		if p := c.add(c.shard(w.hash), &w); p != nil {
			t.Errorf("%+v is to be written, dead", p.write)
		}
	}
	settle(c)
	if n := c.entries.Load(); n != before {
		t.Errorf("%d dead answers went into the store", n-before)
	}
	for i, a := range crowd[:ways+ways/2] {
		if _, ok := c.Get(z.IP4(1, a)); ok != (i&1 == 1 || i >= ways) {
			t.Errorf("answer %d is there: %t", i, ok)
		}
	}
}

// An answer past its TTL goes into the store as long as there is room, whether
// an older one may be there or not.
func TestWindow_stale_needs_room(t *testing.T) {
	for i := range 4 {
		room, renewed := i&1 == 1, i&2 == 2
		c, clk := newCache(t, Options{})
		shared(c, 3600, "data")
		z := c.Zone("z", "")
		crowd := crowd(c, z)
		for _, a := range crowd[:ways] {
			if !renewed {
				c.Get(z.IP4(1, a))
			}
			c.Set(z.IP4(1, a), "data", 60, 3600)
		}
		clk.now.Add(60)
		if !room {
			c.maxBytes = c.bytes.Load() + c.answers.bytes.Load() + EntryBytes - 1
		}
		c.Get(z.IP4(1, crowd[ways]))
		c.Set(z.IP4(1, crowd[ways]), "data", 60, 3600)
		for _, settled := range []bool{false, true} {
			if settled {
				settle(c)
			}
			if _, ok := c.Get(z.IP4(1, crowd[0])); ok != room {
				t.Errorf("with room %t, renewed %t, settled %t: the answer is there: %t", room, renewed, settled, ok)
			}
		}
	}
}

// A listing that was renewed as none does not come back out of the store when the
// newer answer has left the window, dead.
func TestWindow_older_answers_stay_hidden(t *testing.T) {
	c, clk := newCache(t, Options{})
	shared(c, 0, "listed", "unlisted")
	z := c.Zone("z", "")
	crowd := crowd(c, z)
	k := z.IP4(1, crowd[0])
	push := func(life uint32) {
		for _, a := range crowd[1 : 1+ways] {
			clk.now.Add(1)
			c.Set(z.IP4(1, a), "unlisted", life, 0)
		}
		settle(c)
	}
	c.Set(k, "listed", 86400, 0)
	push(100)
	if e, ok := c.Get(k); !ok || e.Data != "listed" || c.shards[0].bucket(0).find(k.packed, 0) >= 0 {
		t.Fatalf("Get = %v, %t, want the listing, out of the store", e, ok)
	}
	c.Set(k, "unlisted", 60, 0)
	c.Set(k, "unlisted", 60, 0) // once more, while it is there
	for range 3 {               // over and over: it stays hidden
		clk.now.Add(200)
		push(100)
		if e, ok := c.Get(k); ok {
			t.Fatalf("the old answer is back: %v", e)
		}
	}
	if v, ok := c.store.Get(c.spread.hash(k.packed)); ok {
		t.Errorf("%+v takes room in the store, dead", v)
	}
}

// What the window has no numbers for, and what nobody else has, goes into the store
// at once; and an answer that was in the window is not found there any more.
func TestWindow_takes_what_is_shared(t *testing.T) {
	c, _ := newCache(t, Options{MaxBytes: MinBytes})
	var data []string
	for i := range 2 * len(c.answers.words) {
		data = append(data, fmt.Sprint("data", i))
	}
	z := c.Zone("z", "")
	k := z.IP4(1, addr(1))
	c.Set(k, "own", 60, 0)
	if c.held() != 0 {
		t.Error("an answer that nobody has is in the window")
	}
	settle(c)
	shared(c, 0, data...)
	for i, data := range data {
		c.Set(z.IP4(1, addr(uint32(i))), data, 60, 0)
		if e, ok := c.Get(z.IP4(1, addr(uint32(i)))); !ok || e.Data != data {
			t.Errorf("Get = %v, %t, want %q", e, ok, data)
		}
	}
	if n := c.held(); n != len(c.answers.words) {
		t.Errorf("%d answers are in the window, want %d", n, len(c.answers.words))
	}
	c.Set(z.IP4(1, addr(0)), "own again", 60, 0)
	if e, ok := c.Get(z.IP4(1, addr(0))); !ok || e.Data != "own again" || c.held() != len(c.answers.words)-1 {
		t.Errorf("Get = %v, %t with %d in the window", e, ok, c.held())
	}
	c.Set(z.IP4(1, addr(2000)), data[len(data)-1], 60, 0)
	if n := c.held(); n != len(c.answers.words) {
		t.Error("a number that was given back is not given out again")
	}
	c.Close()
	clearAll(c)
	if len(c.answers.free) != len(c.answers.words) {
		t.Errorf("%d of %d numbers are free in the end", len(c.answers.free), len(c.answers.words))
	}
	for i, a := range c.answers.words {
		if a != nil {
			t.Errorf("number %d, which is free, keeps %q", i, a.data)
		}
	}
}

// The answers of a zone that was flushed leave the window.
func TestWindow_flush(t *testing.T) {
	c, _ := newCache(t, Options{})
	shared(c, 0, "data")
	old, other := c.Zone("z", "1"), c.Zone("other", "1")
	for i := range uint32(1000) {
		c.Set(old.IP4(1, addr(i)), "data", 60, 0)
		c.Set(other.IP4(1, addr(i)), "data", 60, 0)
		c.Set(old.Name(1, fmt.Append(nil, i)), "data", 60, 0)
		c.Set(other.Name(1, fmt.Append(nil, i)), "data", 60, 0)
	}
	if n := c.held(); n != 4000 {
		t.Errorf("%d answers are in the window, want 4000", n)
	}
	c.zones.last = old.id + lowZone
	alike := c.Zone("same low bits", "1")
	c.Set(alike.Name(1, []byte("in the window")), "data", 60, 0)
	c.Set(alike.Name(1, []byte("in the store")), own(1), 60, 0)
	settle(c)
	c.Zone("z", "2")
	settle(c)
	if n := c.held(); n != 2001+1000 {
		t.Errorf("%d answers are in the window, want the other zones' 2001, and names with the same low bits", n)
	}
	for _, name := range []string{"in the window", "in the store"} {
		if _, ok := c.Get(alike.Name(1, []byte(name))); !ok {
			t.Errorf("another zone's answer %s is flushed too", name)
		}
	}
	c.Zone("same low bits", "2")
	settle(c)
	if n := c.held(); n != 2000 {
		t.Errorf("%d answers are in the window, want the last zone's 2000", n)
	}
}

// Several lists are asked in vain about one address before the first of them is heard:
// it is known of each of their answers that the store has no older one.
func TestWindow_knows_what_is_new(t *testing.T) {
	c, _ := newCache(t, Options{})
	shared(c, 0, "data")
	var zones []Zone
	for i := range 10 {
		zones = append(zones, c.Zone(fmt.Sprint(i), ""))
	}
	for i := range uint32(100) {
		for _, z := range zones {
			c.Get(z.IP4(1, addr(i)))
		}
		for _, z := range zones {
			c.Set(z.IP4(1, addr(i)), "data", 60, 0)
		}
	}
	renewed := func() (n int) {
		for i := range c.shards {
			for _, b := range c.shards[i].window {
				n += bits.OnesCount32(b.renewed)
			}
		}
		return n
	}
	if n := c.held(); n != 1000 || renewed() != 0 {
		t.Errorf("of %d new answers %d are held to be renewed, want none of 1000", n, renewed())
	}
	c.Set(zones[0].IP4(1, addr(1000)), "data", 60, 0) // nobody looked
	if n := renewed(); n != 1 {
		t.Errorf("%d answers are held to be renewed, want one", n)
	}
	clearAll(c)
	if n := renewed(); n != 0 {
		t.Errorf("%d free places are held to have renewed answers", n)
	}
}
