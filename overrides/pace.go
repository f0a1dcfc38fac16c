package overrides

import (
	"runtime"
	"time"
)

const (
	paceSteps = 1 << 10                // between two looks at the clock
	paceWork  = 500 * time.Microsecond // at a stretch
	paceRest  = 20 * time.Microsecond
	paceBytes = 64 << 10 // that are read or hashed between two looks
)

// pace lets others have the processor while very much is worked through. With
// more than one that needs no care; with one, Go would look at the network every
// 10 ms only, and so long would a mail server's question wait. The zero value is
// ready.
type pace struct {
	steps int
	since time.Time
}

// step is called for each small part of the work.
func (p *pace) step() {
	if p.steps++; p.steps%paceSteps == 0 {
		p.look()
	}
}

// look is called for each part that takes some tens of microseconds or more.
func (p *pace) look() {
	if runtime.GOMAXPROCS(0) > 1 {
		return
	}
	if !p.since.IsZero() && time.Since(p.since) >= paceWork {
		time.Sleep(paceRest)
		p.since = time.Time{}
	}
	if p.since.IsZero() {
		p.since = time.Now()
	}
}
