package upstream

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// maxProbed bounds the servers that one test question goes to.
const maxProbed = 4

// probe asks every server at once, each one time.
func (e *Exchanger) probe(q Question, timeout time.Duration, done func(Outcome)) {
	var order [maxServers]*server
	n := min(e.rank(&order), maxProbed)
	if n == 0 {
		go done(Outcome{Err: ErrUnreachable})
		return
	}
	r := &race{left: n, done: done}
	for _, s := range order[:n] {
		e.start(q, terms{timeout: timeout, deadline: timeout, only: s}, r.add)
	}
}

// race waits for the first good outcome of several.
type race struct {
	mu   sync.Mutex
	left int
	over bool
	out  Outcome // the best so far
	done func(Outcome)
}

func (r *race) add(o Outcome) {
	r.mu.Lock()
	r.left--
	if r.out.Err == nil || worse(r.out.Err, o.Err) == o.Err {
		r.out = o
	}
	end := !r.over && (o.Err == nil || r.left == 0)
	if end {
		r.over = true
		if o.Err == nil {
			r.out = o
		}
	}
	out := r.out
	r.mu.Unlock()
	if end {
		r.done(out)
	}
}

// A sweep asks so many servers at once, and as many more after each pause.
const (
	sweepWidth = 4
	sweepPause = 200 * time.Millisecond
)

// sweep asks the servers in the order of their rank, several at once and then
// several more, until one gives a good answer. It is for questions that stand
// at the beginning of everything else, to servers of which nothing is known
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
				e.start(q, terms{timeout: e.opts.Timeout, deadline: e.opts.Timeout, only: s}, func(o Outcome) { results <- o })
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
