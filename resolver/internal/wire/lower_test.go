package wire

import (
	"math/rand/v2"
	"testing"
)

// TestLowerAll compares eight octets at a time with one at a time, for every
// length and octets of all values; what is behind the length stays.
func TestLowerAll(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range MaxName + 1 {
		for range 20 {
			var got, want [MaxName]byte
			for i := range got {
				got[i] = byte(rnd.Uint32())
				want[i] = got[i]
				if i < n {
					want[i] = lower(got[i])
				}
			}
			before := got
			if lowerAll(&got, n); got != want {
				t.Fatalf("lowerAll(%x, %d) = %x, want %x", before, n, got, want)
			}
		}
	}
}
