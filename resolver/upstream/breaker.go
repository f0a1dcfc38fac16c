package upstream

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/rbl"
)

const (
	// userFailures in a row make us ask our own test question. Odd names may
	// fail by themselves; only the test question's failure opens a breaker.
	userFailures = 2

	openPause  = 2 * time.Second // between test questions while open
	steadyFor  = 10 * time.Minute
	harshPause = 30 * time.Second // after a refusal: more questions would not help
	openLimit  = time.Minute
)

// breaker decides whether one shape of subject may be asked about.
type breaker struct {
	list  *List
	shape rbl.Shape
	open  atomic.Bool

	mu       sync.Mutex
	failures int       // of users' attempts, in a row
	asking   bool      // our test question is out: there is never a second one
	asked    time.Time // when it was last sent
	since    time.Time // when the breaker opened
	pause    time.Duration
	next     *time.Timer // of the next test question while open
	waiters  map[*waiter]struct{}
	failed   func() // tryFailed; making a method value allocates

	reason string // why it is open; guarded by list.mu
}

func newBreaker(l *List, shape rbl.Shape) *breaker {
	b := &breaker{list: l, shape: shape, waiters: make(map[*waiter]struct{})}
	b.failed = b.tryFailed
	return b
}

func (b *breaker) enter(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiters[w] = struct{}{}
}

// begun notes how to cancel w. It returns true when that is to be done at
// once, because the breaker has opened meanwhile.
func (b *breaker) begun(w *waiter, cancel func(error)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.cancel = cancel
	_, out := b.waiters[w]
	return out && b.open.Load()
}

// leave counts how a user's question ended. Silence was counted by tryFailed
// already; what we ended ourselves does not count.
func (b *breaker) leave(w *waiter, err error) {
	b.mu.Lock()
	delete(b.waiters, w)
	if err == nil {
		b.failures = 0
	}
	b.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, ErrTimeout), errors.Is(err, ErrBreaker),
		errors.Is(err, ErrClosed), errors.Is(err, ErrQuestion):
	default:
		b.tryFailed()
	}
}

// tryFailed counts one failed attempt for a user.
func (b *breaker) tryFailed() {
	b.mu.Lock()
	b.failures++
	ask := b.failures >= userFailures && !b.open.Load() && !b.asking &&
		time.Since(b.asked) >= openPause
	if ask {
		b.asking, b.asked = true, time.Now()
	}
	b.mu.Unlock()
	if ask {
		b.test(nil)
	}
}

// claim enters our test question; false when one is out already or the
// breaker is open and asks by itself.
func (b *breaker) claim() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asking || b.open.Load() {
		return false
	}
	b.asking, b.asked = true, time.Now()
	return true
}

// test asks our test question, which was claimed. then, if not nil, gets what
// came of it, after the breaker has drawn its conclusions.
func (b *breaker) test(then func(listed bool, err error)) {
	l := b.list
	l.opts.Ask.probe(l.testEntry(b.shape, rbl.TestListed), l.opts.Timeout, func(o Outcome) {
		listed, err := false, o.Err
		if err == nil {
			listed, err = l.judge(o.Response.Records)
		}
		if err == nil && listed && b.open.Load() && l.opts.Probe && l.opts.Judge != rbl.ProbeNone {
			b.welcome(then)
			return
		}
		b.tested(err)
		if then != nil {
			then(listed, err)
		}
	})
}

// welcome looks at a list that answers again before users see its answers: a
// name that has been sold or parked meanwhile may list everything now. The
// full tests follow.
func (b *breaker) welcome(then func(listed bool, err error)) {
	l := b.list
	s := randomSubject(b.shape)
	l.opts.Ask.probe(l.about(s), l.opts.Timeout, func(o Outcome) {
		if o.Err == nil {
			if listed, _ := l.judge(o.Response.Records); listed {
				l.mu.Lock()
				l.quarantine = listsRandom(s)
				l.mu.Unlock()
			}
		}
		b.tested(nil)
		if then != nil {
			then(true, nil)
		}
	})
}

// tested opens or closes the breaker by the result of the test question. When
// it opens, those of the other shapes are tested at once: most often the whole
// list is gone.
func (b *breaker) tested(err error) {
	if errors.Is(err, ErrClosed) {
		return
	}
	if b.conclude(err) {
		for _, other := range b.list.breakers {
			if other != nil && other.claim() {
				other.test(nil)
			}
		}
	}
}

// conclude returns true when the breaker has just opened.
func (b *breaker) conclude(err error) (opened bool) {
	l := b.list
	l.mu.Lock()
	defer l.mu.Unlock()
	b.mu.Lock()
	b.asking = false
	was := b.open.Load()
	var cut []func(error)
	if err == nil {
		b.failures = 0
		b.open.Store(false)
		b.reason = ""
	} else {
		b.reason = err.Error()
		cut = b.fail(err, was)
	}
	b.mu.Unlock()
	for _, cancel := range cut {
		cancel(ErrBreaker)
	}
	l.update()
	if was && err == nil {
		if l.opts.OnClose != nil {
			l.opts.OnClose(b.shape)
		}
		l.wakeUp() // parked names come back listing everything
	}
	return !was && err != nil
}

// fail opens the breaker, sets the next test question, and returns how to end
// what is out. Both locks are held.
func (b *breaker) fail(err error, was bool) (cut []func(error)) {
	now := time.Now()
	if !was {
		b.since, b.pause = now, 0
		b.open.Store(true)
		for w := range b.waiters {
			if w.cancel != nil {
				cut = append(cut, w.cancel)
			}
		}
	}
	if !b.list.closed {
		b.pause = nextPause(b.pause, now.Sub(b.since), err)
		b.next = time.AfterFunc(b.pause-now.Sub(b.asked), b.again)
	}
	return cut
}

// nextPause returns the pause before the next test question of a breaker that
// has been open for so long: 2 s for ten minutes, then growing to a minute,
// and from 30 s on when the list has said no.
func nextPause(last, open time.Duration, err error) time.Duration {
	var code *CodeError
	harsh := errors.Is(err, ErrRefused) || errors.As(err, &code)
	switch {
	case last == 0 && harsh:
		return harshPause
	case last == 0:
		return openPause
	case harsh:
		return min(max(last+last/2, harshPause), openLimit)
	case open < steadyFor:
		return openPause
	}
	return min(last+last/2, openLimit)
}

// again asks the next test question of an open breaker.
func (b *breaker) again() {
	b.mu.Lock()
	b.asking, b.asked = true, time.Now()
	b.mu.Unlock()
	b.test(nil)
}

// stop ends the test questions for good. list.mu is held.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		b.next.Stop()
	}
}
