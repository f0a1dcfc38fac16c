package resolver

import (
	"context"
	"sync/atomic"
	"time"
)

// clock is the time as packets see it: read once every tick, because a call
// of time.Now for each of them would cost more than looking up a rule.
type clock struct {
	source  func() time.Time
	started time.Time
	mono    atomic.Uint32 // seconds since started
	wall    atomic.Int64  // Unix seconds
}

// tick bounds how far the clock lags behind. A TTL counted down with it is
// at most this much too long.
const tick = 50 * time.Millisecond

func newClock(source func() time.Time) *clock {
	c := &clock{source: source, started: source()}
	c.read()
	return c
}

func (c *clock) read() {
	now := c.source()
	c.mono.Store(uint32(now.Sub(c.started) / time.Second))
	c.wall.Store(now.Unix())
}

// seconds counts from the resolver's start and never goes back.
func (c *clock) seconds() uint32 { return c.mono.Load() }

// now is in Unix seconds.
func (c *clock) now() int64 { return c.wall.Load() }

// every calls f at each end of pause until ctx is done.
func every(ctx context.Context, pause time.Duration, f func()) {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}
