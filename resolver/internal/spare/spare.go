// Package spare keeps values for use again.
package spare

import "sync"

// most is how many values a List keeps. What a rush of questions needs beyond
// them is the collector's.
const most = 256

// List holds values that nobody uses. A sync.Pool would do, but several are
// asked for each question that waits, and this takes a third of its time. The
// zero List is empty; it is safe for concurrent use.
type List[T any] struct {
	mu     sync.Mutex
	n      int
	values [most]*T
}

// Get returns the value that was put last, which may still be in the
// processor's caches, or nil.
func (l *List[T]) Get() *T {
	l.mu.Lock()
	if l.n == 0 {
		l.mu.Unlock()
		return nil
	}
	l.n--
	v := l.values[l.n]
	l.values[l.n] = nil
	l.mu.Unlock()
	return v
}

// Put keeps v, unless there is no room. It is not the caller's any more.
func (l *List[T]) Put(v *T) {
	l.mu.Lock()
	if l.n < most {
		l.values[l.n] = v
		l.n++
	}
	l.mu.Unlock()
}

// Clear lets go of all values.
func (l *List[T]) Clear() {
	l.mu.Lock()
	clear(l.values[:l.n])
	l.n = 0
	l.mu.Unlock()
}
