package upstream

import (
	"errors"
	"slices"
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

	mostIdle = 256 // waiters that are kept; more were those of a rush
)

// breaker decides whether one shape of subject may be asked about.
type breaker struct {
	list  *List
	shape rbl.Shape
	open  atomic.Bool
	coded atomic.Bool // it is open because of an error code

	mu       sync.Mutex
	failures int       // of users' attempts, in a row
	asking   bool      // our test question is out: there is never a second one
	asked    time.Time // when it was last sent
	since    time.Time // when the breaker opened
	pause    time.Duration
	next     *time.Timer // of the next test question while open
	waiters  *waiter     // those that are out, linked in both directions
	idle     *waiter     // landed, to be used again; linked by next
	idles    int         // how many, at most mostIdle
	failed   func()      // tryFailed; making a method value allocates

	// Guarded by list.mu.
	reason string // why it is open
	lie    string // that its tests have shown, and those since not disproved: the list is in quarantine
}

func newBreaker(l *List, shape rbl.Shape) *breaker {
	b := &breaker{list: l, shape: shape}
	b.failed = b.tryFailed
	return b
}

// enter returns a waiter that is out, for its turn.
func (b *breaker) enter(qtype uint16, shape rbl.Shape, done func(Outcome)) (w *waiter, turn uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w = b.idle; w != nil {
		b.idle = w.next
		b.idles--
	} else {
		w = &waiter{breaker: b}
		w.finish = w.landed
	}
	w.qtype, w.shape, w.done = qtype, shape, done
	if w.next = b.waiters; w.next != nil {
		w.next.prev = w
	}
	b.waiters = w
	return w, w.turn
}

// begun notes how to cancel w. It returns true when that is to be done at
// once, because the breaker has opened meanwhile.
func (b *breaker) begun(w *waiter, turn uint32, out ticket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.turn != turn {
		return false // it has landed already, and may be somebody else's
	}
	w.out = out
	return b.open.Load()
}

// leave counts how a user's question ended. Silence was counted by tryFailed
// already; what we ended ourselves does not count. The waiter is not the
// caller's any more.
func (b *breaker) leave(w *waiter, err error) {
	b.mu.Lock()
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.waiters = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.turn++
	w.done, w.out = nil, ticket{}
	w.prev, w.next = nil, nil
	if b.idles < mostIdle {
		w.next, b.idle = b.idle, w
		b.idles++
	}
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
		b.test()
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

// tested reports whether the breaker may open in a moment.
func (b *breaker) tested() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asking && !b.open.Load()
}

// test asks our test question, which was claimed, in the background.
func (b *breaker) test() {
	b.list.opts.Ask.aside(func(ask probe) { _, _ = b.testWith(ask, false) })
}

// testWith asks our test question, which was claimed, and draws the breaker's
// conclusions. It is calm where no user's failure asks for it: one question may
// get lost. The code in the answer may be one that is no listing for the users of
// this list.
func (b *breaker) testWith(ask probe, calm bool) (listed bool, err error) {
	l := b.list
	q := l.about(testSubject(b.shape, rbl.TestListed))
	o := ask(q)
	if calm && errors.Is(o.Err, ErrTimeout) && !b.doubted() {
		o = ask(q)
	}
	if err = o.Err; err == nil {
		listed, err = l.judge(o.Response.Records)
		usual := rbl.DefaultListed()
		listed = listed || slices.ContainsFunc(o.Response.Records, func(r []byte) bool { return usual.Contains(codeIn(r)) })
	}
	if err == nil && b.doubted() {
		err = b.lookTwice(ask, listed)
	}
	if !errors.Is(err, ErrClosed) {
		for _, other := range b.conclude(err) {
			other.test()
		}
	}
	return listed, err
}

// doubted reports whether users had no answer, or would have none.
func (b *breaker) doubted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0 || b.open.Load()
}

// lookTwice asks about a random subject, too, before it believes that a list
// answers: a resolver may have the test entry in its cache for long. And a name
// that has been sold or parked meanwhile may list everything now, a second random
// subject too; users are not to see its answers before the full tests, which follow.
func (b *breaker) lookTwice(ask probe, listed bool) error {
	l := b.list
	s, lies, err := l.askTwice(ask, func() rbl.Subject { return randomSubject(b.shape) })
	if lies && listed && b.open.Load() && l.opts.Probe && l.opts.Judge != rbl.ProbeNone {
		l.mu.Lock()
		b.distrust(listsRandom(s))
		l.mu.Unlock()
	}
	if isCode(err) {
		return nil // it answers; the full tests say more
	}
	return err
}

// conclude opens or closes the breaker by the result of the test question. When
// it has just opened the test questions of the others, which are claimed, are
// due: most often the whole list is gone.
func (b *breaker) conclude(err error) (due []*breaker) {
	l := b.list
	l.mu.Lock()
	defer l.mu.Unlock()
	b.mu.Lock()
	b.asking = false
	was := b.open.Load()
	var cut []ticket
	if err == nil {
		b.failures = 0
		b.open.Store(false)
		b.reason = ""
	} else {
		if !was || !errors.Is(err, ErrTimeout) {
			b.reason = err.Error() // silence after an answer says nothing new
		}
		b.coded.Store(isCode(err))
		cut = b.fail(err, was)
	}
	b.mu.Unlock()
	for _, out := range cut {
		out.cancel(ErrBreaker)
	}
	if l.closed {
		return nil // another list may have its place
	}
	if !was && err != nil {
		for _, other := range l.breakers {
			if other.claim() {
				due = append(due, other)
			}
		}
	}
	l.update()
	if err != nil && l.opts.OnFault != nil {
		l.opts.OnFault(err)
	}
	if was && err == nil {
		if l.opts.OnClose != nil {
			l.opts.OnClose(b.shape)
		}
		l.Check() // parked names come back listing everything
	}
	return due
}

// fail opens the breaker, sets the next test question, and returns how to end
// what is out. Both locks are held.
func (b *breaker) fail(err error, was bool) (cut []ticket) {
	now := time.Now()
	if !was {
		b.since, b.pause = now, 0
		b.open.Store(true)
		for w := b.waiters; w != nil; w = w.next {
			cut = append(cut, w.out)
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
	harsh := errors.Is(err, ErrRefused) || isCode(err)
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
	b.test()
}

// stop ends the test questions for good. list.mu is held.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		b.next.Stop()
	}
}
