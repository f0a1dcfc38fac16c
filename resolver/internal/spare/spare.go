// Package spare keeps values for use again: what belongs to a question that
// waits, and would be allocated for each.
//
// It decides how many are kept, 256 of a kind, and in which order they are
// taken: the last one first, which may still be in the processor's caches. What
// a rush of questions needs beyond them is the collector's.
//
// It does not clear values, which is their users' affair, and knows nothing of
// what they are. A sync.Pool would do as well, but several are asked for each
// question that waits, and this takes a third of its time.
package spare

import "sync"

// most is how many values a List keeps.
const most = 256

// List holds values that nobody uses. The zero List is empty; it is safe for
// concurrent use.
type List[T any] struct {
	mu     sync.Mutex
	n      int
	values [most]*T
}

// Get returns the value that was put last, or nil.
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
