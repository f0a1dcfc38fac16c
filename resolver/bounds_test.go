package resolver

import (
	"net/netip"
	"slices"
	"testing"
)

// stillWaiting is the number of questions that have entered and not left.
func (b *bounds) stillWaiting() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := int64(0)
	for _, n := range b.waiting {
		sum += n.Load()
	}
	return max(sum, b.total.Load())
}

func TestBounds(t *testing.T) {
	b := newBounds(2, 3)
	client := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, i}) }
	first, _ := b.enter(client(1))
	_, second := b.enter(client(1))
	third, over := b.enter(client(1))
	if !second || over {
		t.Errorf("with 2 a client the second may wait: %v, the third: %v", second, over)
	}
	b.leave(third)
	b.enter(client(2))
	if place, ok := b.enter(client(2)); ok {
		t.Error("with 3 in all a fourth may wait")
	} else {
		b.leave(place)
	}
	b.leave(first)
	if _, ok := b.enter(client(1)); !ok {
		t.Error("a place that was left is not free")
	}
}

// Who has come and gone is forgotten, who waits is not.
func TestBounds_clients(t *testing.T) {
	b := newBounds(1, 1<<20)
	var stays []netip.Addr
	for i := range uint32(4 * idleClients) {
		c := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		place, ok := b.enter(c)
		if !ok {
			t.Fatalf("client %d may not wait", i)
		}
		if i%4 == 0 {
			stays = append(stays, c)
		} else {
			b.leave(place)
		}
	}
	if n := len(b.waiting); n > 3*idleClients {
		t.Errorf("%d clients are remembered, %d of them wait", n, len(stays))
	}
	for _, c := range stays {
		if _, ok := b.enter(c); ok {
			t.Fatalf("%v waits and was forgotten", c)
		}
	}
}

// However much each takes in turn, the next one finds a place, until hardly any
// are left; and all are free again in the end.
func TestShares(t *testing.T) {
	const all = 1000
	s := newShares(all)
	var took []int
	for i := range byte(8) {
		n := 0
		for s.take(netip.AddrFrom4([4]byte{192, 0, 2, i})) {
			n++
		}
		took = append(took, n)
	}
	if want := []int{500, 250, 125, 63, 31, 16, 8, 4}; !slices.Equal(took, want) {
		t.Errorf("they took %v, want %v", took, want)
	}
	for i, n := range took {
		for range n {
			s.leave(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		}
	}
	if s.free != all || len(s.held) != 0 {
		t.Errorf("%d are free and %d clients hold some, want %d and 0", s.free, len(s.held), all)
	}
}
