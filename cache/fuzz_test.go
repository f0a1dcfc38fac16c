package cache

import (
	"fmt"
	"testing"
)

// inverse returns the x with x*a = 1 modulo 2^32, by Newton's steps.
func inverse(a uint32) uint32 {
	x := a
	for range 5 {
		x *= 2 - a*x
	}
	return x
}

func unmix32(x uint32) uint32 {
	x ^= x >> 16
	x *= inverse(0x846ca68b)
	x ^= x>>15 ^ x>>30
	x *= inverse(0x7feb352d)
	return x ^ x>>16
}

// unhash undoes spread.hash: that it can be undone is what keeps two keys
// apart.
func (s *spread) unhash(h uint64) uint64 {
	for low, at := range s.slots {
		if at.shard == uint8(h) && uint64(at.index) == h>>59 {
			x := uint32(h>>8)<<slotBits | uint32(low)
			zone := (h>>28 ^ s.stir(x)) & (1<<31 - 1)
			return zone<<32 | uint64(unmix32(x)^uint32(s.seed))
		}
	}
	return ^uint64(0)
}

// FuzzKey_injective: from the hash of an IPv4 question the question can be
// told, so no two questions share a hash; and hashed questions never take a
// hash of theirs.
func FuzzKey_injective(f *testing.F) {
	f.Add(uint32(1), uint8(1), uint32(0x7f000002), "name")
	f.Add(uint32(maxZone), uint8(255), ^uint32(0), "")
	c, _ := newCache(f, Options{})
	s := newSpread()
	f.Fuzz(func(t *testing.T, zone uint32, qtype uint8, a uint32, name string) {
		z := Zone{c, zone%maxZone + 1}
		k := z.IP4(qtype, addr(a))
		got := s.unhash(s.hash(k.packed))
		want := uint64(z.id)<<40 | uint64(qtype)<<32 | uint64(a)
		if got != want || k.check != 0 {
			t.Fatalf("IP4(zone %d, %d, %v): %x comes back as %x", z.id, qtype, addr(a), want, got)
		}
		n := z.Name(uint16(qtype), []byte(name))
		if s.unhash(s.hash(n.packed)) != n.packed || n.packed&hashed == 0 || k.packed&hashed != 0 {
			t.Fatalf("Name(%q) and IP4 share a hash", name)
		}
	})
}

// All zones' and types' questions about an address, of any shape, count as one to
// ristretto's sketch: it goes by the low 28 bits at most. Questions about others
// do not.
func TestSpread_shares_popularity(t *testing.T) {
	c, _ := newCache(t, Options{})
	s := newSpread()
	low := func(k Key) uint64 { return s.hash(k.packed) & (1<<28 - 1) }
	a, b := c.Zone("a", ""), c.Zone("b", "")
	for _, same := range [][]Key{
		{a.IP4(1, addr(7)), a.IP4(16, addr(7)), b.IP4(1, addr(7))},
		{a.Name(1, []byte("name")), b.Name(16, []byte("name"))},
	} {
		seen := map[uint64]bool{}
		for _, k := range same {
			if low(k) != low(same[0]) {
				t.Errorf("%x and %x differ in their low bits", s.hash(k.packed), s.hash(same[0].packed))
			}
			seen[s.hash(k.packed)] = true
		}
		if len(seen) != len(same) {
			t.Errorf("%d questions have %d hashes", len(same), len(seen))
		}
	}
	counters := map[uint64]bool{}
	for i := range uint32(1000) {
		counters[low(a.IP4(1, addr(i)))] = true
	}
	if len(counters) < 990 {
		t.Errorf("1000 addresses share %d of 2^28 counters", len(counters))
	}
}

// The shards' sizes differ by no more than a factor of two and a bit, and no
// shard is left out.
func TestSpread_sizes(t *testing.T) {
	var n [256]int
	for _, at := range newSpread().slots {
		n[at.shard]++
	}
	for shard, got := range n {
		if got < 11 || got > 23 {
			t.Errorf("shard %d has %d slots of %d, want 11 to 23", shard, got, 1<<slotBits)
		}
	}
	if n[0] >= n[255] {
		t.Errorf("shard 0 has %d slots, shard 255 %d: want it smaller", n[0], n[255])
	}
}

// crowd leaves the window one bucket in each shard and returns addresses that z's
// questions share one of these for: more than it has places.
func crowd(c *Cache, z Zone) (all [][4]byte) {
	for i := range c.shards {
		c.shards[i].window = c.shards[i].window[:1]
	}
	for i := uint32(0); len(all) < 3*ways; i++ {
		if c.shard(c.spread.hash(z.IP4(1, addr(i)).packed)) == &c.shards[0] {
			all = append(all, addr(i))
		}
	}
	return all
}

// FuzzCache_model runs arbitrary operations on a cache that is large enough
// and on a map. They must agree after each.
func FuzzCache_model(f *testing.F) {
	f.Add([]byte{0, 1, 2, 1, 1, 0, 0, 1, 3, 4, 60, 0, 1, 1, 0, 5, 0, 0, 1, 1, 0})
	f.Add([]byte{0, 7, 9, 3, 0, 0, 1, 7, 0, 4, 200, 0, 1, 7, 0, 0, 7, 1, 1, 7, 0})
	type entry struct {
		data          string
		expires, keep uint32
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		c, clk := newCache(t, Options{MaxBytes: 4 << 20})
		model := map[string]entry{}
		var generation [2]int
		known := c.Zone("known", "")
		for i := range uint32(256) { // answers that others have too
			c.Set(known.Name(1, []byte{byte(i)}), fmt.Sprint(i&3), 1<<20, i>>4)
		}
		settle(c)
		var crowds [2][][4]byte
		for len(ops) >= 3 {
			op, a, b := ops[0]%6, ops[1], ops[2]
			ops = ops[3:]
			zone := int(a & 1)
			z := c.Zone(fmt.Sprint(zone), fmt.Sprint(generation[zone]))
			if crowds[zone] == nil {
				crowds[zone] = crowd(c, z)
			}
			address := crowds[zone][int(a>>3)%len(crowds[zone])]
			k := [...]Key{
				z.IP4(1, address), z.IP4(1, addr(uint32(a>>3))),
				z.Name(257, []byte{1, a >> 3}), z.Name(1, []byte{1, a >> 3}),
			}[a>>1&3]
			name := fmt.Sprint(k)
			switch op {
			case 0, 2: // set
				life, keep := uint32(b&15), uint32(b>>4)
				data := fmt.Sprint(b & 3)
				if b&3 == 0 {
					data = fmt.Sprint(a, b)
				}
				c.Set(k, data, life, keep)
				model[name] = entry{data, clk.Now() + life, keep}
			case 3:
				settle(c)
			case 4:
				clk.now.Add(uint32(a & 7))
			case 5:
				generation[zone]++
				crowds[zone] = nil
			}
			got, ok := c.Get(k)
			if op == 5 {
				continue // k is of the generation before
			}
			want, wantOK := model[name]
			wantOK = wantOK && clk.Now() < want.expires+want.keep
			if ok != wantOK || ok && (got.Data != want.data || got.Expires != want.expires) {
				t.Fatalf("op %d: Get(%s) = %+v, %t, want %+v, %t", op, name, got, ok, want, wantOK)
			}
		}
		c.Close()
	})
}
