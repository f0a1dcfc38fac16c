package resolver

import "testing"

// looksOf counts the looks of n waits after batches of two, each of which finds
// something at the given look; -1: at none.
func looksOf(w *watch, n, at int) (looks, sleeps int) {
	for range n {
		most := w.looks(2)
		if at >= 0 && at < most {
			looks += at + 1
			w.found(at)
			continue
		}
		looks += most
		sleeps++
		w.missed(most)
	}
	return looks, sleeps
}

func TestWatch(t *testing.T) {
	tests := []struct {
		name              string
		at                int
		looksMax, sleeps  int // of 10,000 waits
		sleepsWithinOfMax int
	}{
		{"nothing comes soon: sleep, and hardly ever try", -1, 10_000 + 10_000/watchEvery*watchLooks + watchLooks, 10_000, 0},
		{"something is there at once: neither", 0, 10_000, 0, 0},
		{"something comes soon: do not sleep", 10, 11 * 10_000, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w watch
			looks, sleeps := looksOf(&w, 10_000, tt.at)
			if looks > tt.looksMax {
				t.Errorf("%d looks, want at most %d", looks, tt.looksMax)
			}
			if sleeps < tt.sleeps || sleeps > tt.sleeps+tt.sleepsWithinOfMax {
				t.Errorf("%d sleeps, want %d", sleeps, tt.sleeps)
			}
		})
	}
}

// TestWatch_turns follows clients that come and go.
func TestWatch_turns(t *testing.T) {
	var w watch
	looksOf(&w, 1000, 5)
	if looks, _ := looksOf(&w, 1000, -1); looks > 1000+(watchMemory+1000/watchEvery+1)*watchLooks {
		t.Errorf("%d looks after the clients left", looks)
	}
	if _, sleeps := looksOf(&w, 1000, 5); sleeps > watchEvery+1 {
		t.Errorf("%d sleeps after they came back", sleeps)
	}
}

// After a lone packet nobody looks, unless watching has paid.
func TestWatch_lone(t *testing.T) {
	var w watch
	looks := 0
	for range 10 * watchEvery {
		n := w.looks(1)
		looks += n
		w.missed(n)
	}
	if tries := 10 + 1; looks == 0 || looks > tries*watchLooks {
		t.Errorf("%d looks, want those of at most %d tries", looks, tries)
	}
	looksOf(&w, 100, 5)
	if w.looks(1) != watchLooks {
		t.Error("where watching pays it is not done after a lone packet")
	}
}
