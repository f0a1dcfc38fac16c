package upstream

import (
	"bytes"
	"math"
	"testing"
)

// TestRandomCase holds that letters alone change, each to both cases alike and
// whatever becomes of the others, in names of every length.
func TestRandomCase(t *testing.T) {
	rnd := newEntropy()
	for _, n := range []int{0, 1, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 71, 72, 73, 128, 200, 255} {
		name := make([]byte, n)
		for i := range name {
			name[i] = "azAZmN@[`{\x00\x3f-5\xc1\xfa"[(i*7+n)%16]
		}
		var letters []int
		for i, c := range name {
			if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
				letters = append(letters, i)
			}
		}
		const draws = 512
		small := make([][draws]bool, n)
		for d := range draws {
			got := bytes.Clone(name)
			randomCase(got, rnd)
			for _, i := range letters {
				small[i][d] = got[i]&0x20 != 0
				got[i] = got[i]&^0x20 | name[i]&0x20
			}
			if !bytes.Equal(got, name) {
				t.Fatalf("randomCase makes %q of %q, letters aside", got, name)
			}
		}
		// Half of the draws, give or take 7.5 times the standard deviation:
		// that happens by chance once in 10^13 times.
		fair := func(count int) bool {
			return math.Abs(float64(count)-draws/2) < 7.5*math.Sqrt(draws)/2
		}
		for k, i := range letters {
			count := 0
			for d := range draws {
				if small[i][d] {
					count++
				}
			}
			if !fair(count) {
				t.Errorf("length %d: letter %d is small in %d of %d draws", n, i, count, draws)
			}
			for _, j := range letters[:k] {
				same := 0
				for d := range draws {
					if small[i][d] == small[j][d] {
						same++
					}
				}
				if !fair(same) {
					t.Errorf("length %d: letters %d and %d are alike in %d of %d draws", n, i, j, same, draws)
				}
			}
		}
	}
}
