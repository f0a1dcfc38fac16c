package upstream

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Nobody is inside when wait has returned, and nobody gets in afterwards, who
// was brought in by others included.
func TestGate(t *testing.T) {
	for range 200 {
		g := newGate()
		var inside atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for g.enter() {
					inside.Add(1)
					g.bring()
					group.Go(func() { inside.Add(-1); g.leave() })
					g.leave()
				}
			})
		}
		for range 2 { // closing twice does no harm
			g.shut()
			g.wait()
			if n := inside.Load(); n != 0 {
				t.Fatalf("%d are inside a shut gate", n)
			}
		}
		group.Wait()
	}
	g := newGate()
	g.shut()
	g.wait()
	if g.enter() {
		t.Error("a shut gate was entered")
	}
}
