package upstream

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A sweep asks so many servers at once, and as many more after each pause.
const (
	sweepWidth = 4
	sweepPause = 200 * time.Millisecond
)

// probe asks one of our own test questions, as sweep does.
type probe func(q Question) Outcome

func (e *Exchanger) aside(test func(ask probe)) {
	e.pool.aside(test, func(q Question) Outcome { return e.sweep(context.Background(), q) })
}

func (p *Pool) aside(test func(ask probe), ask probe) {
	if !p.gate.enter() {
		go test(func(Question) Outcome { return Outcome{Err: ErrClosed} })
		return
	}
	go func() {
		defer p.gate.leave()
		test(ask)
	}()
}

// sweep asks the servers in the order of their rank, several at once and then
// several more, each one time, until one gives a good answer; without any the
// outcome is the error that says most. It is for our test questions and those that
// stand at the beginning of everything else, to servers of which nothing is known
// yet and half of which may be out of reach, as they are without IPv6.
func (e *Exchanger) sweep(ctx context.Context, q Question) Outcome {
	servers := slices.Clone(e.servers)
	slices.SortStableFunc(servers, func(a, b *server) int { return cmp.Compare(a.key(), b.key()) })
	results := make(chan Outcome, len(servers))
	pause := time.NewTimer(0)
	defer pause.Stop()
	last := Outcome{Err: ErrUnreachable}
	for out := 0; out > 0 || len(servers) > 0; {
		select {
		case <-pause.C:
			n := min(sweepWidth, len(servers))
			for _, s := range servers[:n] {
				e.start(q, terms{deadline: e.opts.Timeout, only: s}, func(o Outcome) { results <- o })
			}
			servers, out = servers[n:], out+n
			if len(servers) > 0 {
				pause.Reset(sweepPause)
			}
		case o := <-results:
			if out--; o.Err == nil {
				return o
			}
			o.Err = worse(last.Err, o.Err)
			last = o
			if out == 0 && len(servers) > 0 {
				pause.Reset(0)
			}
		case <-ctx.Done():
			return Outcome{Err: ErrTimeout}
		}
	}
	return last
}
