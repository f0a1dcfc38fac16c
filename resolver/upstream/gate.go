package upstream

import (
	"math"
	"sync"
	"sync/atomic"
)

// gate counts who is inside, as a WaitGroup does, until it is shut: then it
// lets nobody in. Going in and out is one addition each.
type gate struct {
	inside atomic.Int64 // less allOut when shut
	once   sync.Once
	empty  chan struct{} // closed when the last one leaves a shut gate
}

const allOut = math.MinInt64

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter is false when the gate is shut.
func (g *gate) enter() bool {
	if g.inside.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

// bring enters another one, for somebody inside: the gate may be shut.
func (g *gate) bring() { g.inside.Add(1) }

func (g *gate) leave() {
	if g.inside.Add(-1) == allOut {
		g.once.Do(func() { close(g.empty) })
	}
}

func (g *gate) shut() { g.inside.Or(allOut) }

// wait returns when a shut gate has nobody inside.
func (g *gate) wait() {
	if g.inside.Load() != allOut {
		<-g.empty
	}
}
