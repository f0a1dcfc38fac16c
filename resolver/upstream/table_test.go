package upstream

import (
	"math/rand/v2"
	"testing"
)

// A table finds what is out by its ID, and nothing else, however many share a
// chain.
func TestTable(t *testing.T) {
	rnd := newEntropy()
	closed := 0
	k := &table{close: func() { closed++ }}
	flights := make([]flight, maxInFlight+1)
	out := make(map[uint16]*flight)
	for i := range maxInFlight {
		f := &flights[i]
		if !k.add(f, uint32(rnd.uint64()), rnd) || out[f.id] != nil {
			t.Fatalf("flight %d was not entered under an ID of its own", i)
		}
		out[f.id] = f
	}
	if k.add(&flights[maxInFlight], 0, rnd) {
		t.Error("a full table takes one more")
	}
	for id, f := range out {
		if rand.N(10) > 0 {
			k.drop(f)
			k.drop(f) // does no harm
			delete(out, id)
		}
	}
	for id := range 1 << 16 {
		if f := k.get(uint16(id)); f != out[uint16(id)] {
			t.Fatalf("under ID %d there is %p, want %p", id, f, out[uint16(id)])
		}
	}
	picked := make(map[*flight]bool)
	for _, e := range k.pick(make([]entry, 0, 64), rnd) {
		if picked[e.f] = true; out[e.id] != e.f {
			t.Errorf("ID %d was picked, but is not out", e.id)
		}
	}
	if len(picked) != 64 {
		t.Errorf("%d were picked, want 64", len(picked))
	}
	all := k.shut()
	for _, e := range all {
		k.drop(e.f)
		delete(out, e.id)
	}
	if len(out) > 0 || !k.empty() || closed != 1 {
		t.Errorf("shut left %d of %d and closed %d times", len(out), len(all), closed)
	}
}
