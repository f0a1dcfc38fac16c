package wire

import (
	"math/rand/v2"
	"testing"
)

// TestLowerTo compares eight octets at a time with one at a time, for every
// length and octets of all values; what is behind the length stays.
func TestLowerTo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range MaxName + 1 {
		for range 20 {
			var src, got, want [MaxName]byte
			for i := range src {
				src[i], got[i] = byte(rnd.Uint32()), byte(rnd.Uint32())
				want[i] = got[i]
				if i < n {
					want[i] = lower(src[i])
				}
			}
			if lowerTo(got[:], src[:n]); got != want {
				t.Fatalf("lowerTo(%x) = %x, want %x", src[:n], got, want)
			}
			if Name(src[:n]).Lower(); string(src[:n]) != string(want[:n]) {
				t.Fatalf("Lower makes %x, want %x", src[:n], want[:n])
			}
		}
	}
}

func TestLetters(t *testing.T) {
	for c := range 256 {
		for i := range 8 {
			// Beside octets of the highest sum, so that a carry would show.
			x := uint64(c)<<(8*i) | ^uint64(0)&^(0xff<<(8*i))
			want := uint64(0)
			if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
				want = 0x20 << (8 * i)
			}
			if got := Letters(x); got != want {
				t.Fatalf("Letters(%x) = %x, want %x", x, got, want)
			}
		}
	}
}

// TestName_Equal compares with the definition, for names that differ in one
// octet at most.
func TestName_Equal(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 40 {
		for range 200 {
			a := make(Name, n)
			for i := range a {
				a[i] = "aAzZ@[`{\x01\x3f\xc1\xe1"[rnd.IntN(12)]
			}
			b := append(Name(nil), a...)
			if n > 0 {
				b[rnd.IntN(n)] ^= []byte{0, 0x20, 0x80}[rnd.IntN(3)]
			}
			want := true
			for i := range a {
				want = want && lower(a[i]) == lower(b[i])
			}
			if got := a.Equal(b); got != want {
				t.Fatalf("%q.Equal(%q) = %t, want %t", []byte(a), []byte(b), got, want)
			}
		}
	}
	if Name("\x01a\x00").Equal(Name("\x01a")) {
		t.Error("names of different lengths are equal")
	}
}
