package upstream

import "testing"

// A good list that is asked about a spam run is not quarantined, and the new
// share becomes the past.
func TestShare(t *testing.T) {
	var s share
	jumps := 0
	feed := func(n, listed int) {
		for i := range n {
			if s.add(i%100 < listed) {
				jumps++
			}
		}
	}
	feed(1000, 20)
	feed(1000, 45)
	if jumps != 0 {
		t.Errorf("%d jumps at 45 listings in 100 after 20", jumps)
	}
	feed(100, 90)
	if jumps != 1 {
		t.Errorf("%d jumps at 90 listings in 100, want 1", jumps)
	}
	feed(5000, 90)
	jumps = 0
	feed(1000, 90)
	if jumps != 0 {
		t.Errorf("90 in 100 has long been usual and is still a jump")
	}
}
