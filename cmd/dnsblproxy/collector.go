package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// headroom is how much the heap may grow between two garbage collections, in
// bytes, when live are in use. Go's own rule is as much again as is in use: a
// full cache would take twice its size, and a collection hardly ever comes. A
// twelfth is enough, since answers out of the cache allocate nothing. A small heap
// gets more than Go would give it, and is collected less often.
func headroom(live uint64) uint64 { return max(live/12, 16<<20) }

// gcPercent is headroom as Go wants to have it.
func gcPercent(live uint64) int { return int(headroom(live) * 100 / max(live, 1<<20)) }

// paceCollector keeps the garbage collector's pace until ctx is done, unless
// GOGC says what the administrator wants.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	t := time.NewTicker(time.Second)
	defer t.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := 0
	for {
		metrics.Read(sample)
		// Setting it stops the world for a moment: not for trifles.
		if p := gcPercent(sample[0].Value.Uint64()); p*10 < set*9 || p*10 > set*11 {
			debug.SetGCPercent(p)
			set = p
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
