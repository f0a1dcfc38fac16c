package main

import "testing"

func TestCollection(t *testing.T) {
	for in, want := range map[string][2]float64{
		"": {0, 0},
		"gc 1 @0.012s 2%: 0.01+0.5+0.3 ms clock, 1\nnoise\ngc 2 @1.5s 0%: x\ngc 3 @9.1s 4%: 0.02+40+0.1 ms clock\n": {4, 0.3},
	} {
		if share, pause := collection([]byte(in)); [2]float64{share, pause} != want {
			t.Errorf("collection(%q) = %v, %v, want %v", in, share, pause, want)
		}
	}
}
