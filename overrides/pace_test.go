package overrides

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	for processors, want := range map[int]time.Duration{1: paceRest, 2: 0} {
		synctest.Test(t, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			var p pace
			work := func() {
				for range paceSteps {
					p.step()
				}
			}
			work()
			time.Sleep(paceWork / 2)
			began := time.Now()
			work()
			if took := time.Since(began); took != 0 {
				t.Errorf("%d processors: rested %v after too little work", processors, took)
			}
			time.Sleep(paceWork / 2)
			began = time.Now()
			work()
			work()
			if took := time.Since(began); took != want {
				t.Errorf("%d processors: rested %v, want %v", processors, took, want)
			}
		})
	}
}
