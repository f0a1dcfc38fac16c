package main

import "testing"

func TestCollection(t *testing.T) {
	for in, want := range map[string]float64{
		"": 0,
		"gc 1 @0.012s 2%: 0.01+0.5 ms clock\nnoise\ngc 2 @1.5s 0%: x\ngc 3 @9.1s 4%: x\n": 4,
	} {
		if got, err := collection([]byte(in)); err != nil || got != want {
			t.Errorf("collection(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
}
