package resolver

import (
	"sync"

	"dnsblproxy/resolver/internal/wire"
)

// traps are names that nobody but the proxy itself asks for. One that arrives
// here was sent to a list or a resolver and came back: a loop.
type traps struct {
	mu   sync.Mutex
	came map[string]bool // by name in wire form
}

// Trap waits for questions about names (wire form, lower case). It returns
// which of them arrived so far, and ends the wait. The next call ends it too.
func (r *Resolver) Trap(names [][]byte) (arrived func() []int) {
	t := &traps{came: make(map[string]bool, len(names))}
	for _, n := range names {
		t.came[string(n)] = false
	}
	r.traps.Store(t)
	return func() []int {
		r.traps.CompareAndSwap(t, nil)
		t.mu.Lock()
		defer t.mu.Unlock()
		var out []int
		for i, n := range names {
			if t.came[string(n)] {
				out = append(out, i)
			}
		}
		return out
	}
}

// caught reports whether q is such a question, and notes it.
func (t *traps) caught(q *wire.Query) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.came[string(q.Name())]; !ok {
		return false
	}
	t.came[string(q.Name())] = true
	return true
}
