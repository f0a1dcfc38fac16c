package resolver

import (
	"sync"
	"sync/atomic"
	"time"
)

// failures remembers for a few seconds what could not be asked, so that a
// failing list is not asked the same thing by everyone in turn. RFC 9520,
// section 3.2. It is bounded: when it is full, it forgets.
type failures struct {
	last atomic.Uint32 // from then on, on the cache's clock, nothing is remembered

	mu sync.Mutex
	m  map[failureKey]remembered
}

type failureKey struct {
	zone   *zone
	typ    uint16
	labels string
}

type remembered struct {
	why   failure
	until uint32 // seconds, of the cache's clock
	hold  uint32 // for how long, in seconds
	epoch uint32 // of the zone: its list has answered since
}

const (
	mostFailures = 1 << 16

	// RFC 9520, section 3.2: at least 1 s, growing, and here at most 5 s.
	holdFirst, holdLast = 1, 5
)

func newFailures() *failures { return &failures{m: make(map[failureKey]remembered)} }

// put remembers a failure of q from now on: for hold if that is not 0, else for
// twice as long as the same one before.
func (t *failures) put(q *question, why failure, hold time.Duration, now uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := failureKey{q.zone, q.typ, string(q.labels)}
	before, again := t.m[key]
	if !again && len(t.m) >= mostFailures {
		clear(t.m)
	}
	secs := uint32(hold / time.Second)
	if secs == 0 {
		secs = holdFirst
		if again && before.until+holdLast >= now {
			secs = min(max(before.hold, holdFirst)*2, holdLast)
		}
	}
	t.last.Store(max(t.last.Load(), now+secs))
	t.m[key] = remembered{why: why, until: now + secs, hold: secs, epoch: q.zone.epoch.Load()}
}

// clear forgets everything.
func (t *failures) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.m)
}

// get returns a failure that is still remembered.
func (t *failures) get(z *zone, labels []byte, typ uint16, now uint32) (failure, bool) {
	if now >= t.last.Load() {
		return failure{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// A composite literal with a converted slice as map key does not allocate.
	e, ok := t.m[failureKey{z, typ, string(labels)}]
	if !ok || e.until <= now || e.epoch != z.epoch.Load() {
		return failure{}, false
	}
	return e.why, true
}
