package upstream

import (
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
