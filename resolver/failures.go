package resolver

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// failures remembers for a few seconds what could not be asked, so that a
// failing list is not asked the same thing by everyone in turn. RFC 9520,
// section 3.2. It is bounded: when a shard is full, it forgets.
type failures struct {
	seed   maphash.Seed
	shards [16]failureShard
	last   atomic.Uint32 // from then on, on the cache's clock, nothing is remembered
}

type failureShard struct {
	sync.Mutex
	m map[failureKey]remembered
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
	failuresPerShard = 4096

	// RFC 9520, section 3.2: at least 1 s, growing, and here at most 5 s.
	holdFirst, holdLast = 1, 5
)

func newFailures() *failures {
	t := &failures{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].m = make(map[failureKey]remembered)
	}
	return t
}

func (t *failures) shard(labels []byte) *failureShard {
	return &t.shards[maphash.Bytes(t.seed, labels)%uint64(len(t.shards))]
}

// put remembers a failure of q from now on: for hold if that is not 0, else for
// twice as long as the same one before.
func (t *failures) put(q *question, why failure, hold time.Duration, now uint32) {
	s := t.shard(q.labels)
	s.Lock()
	defer s.Unlock()
	key := failureKey{q.zone, q.typ, string(q.labels)}
	before, again := s.m[key]
	if !again && len(s.m) >= failuresPerShard {
		clear(s.m)
	}
	secs := uint32(hold / time.Second)
	if secs == 0 {
		secs = holdFirst
		if again && before.until+holdLast >= now {
			secs = min(max(before.hold, holdFirst)*2, holdLast)
		}
	}
	for last := t.last.Load(); last < now+secs && !t.last.CompareAndSwap(last, now+secs); {
		last = t.last.Load()
	}
	s.m[key] = remembered{why: why, until: now + secs, hold: secs, epoch: q.zone.epoch.Load()}
}

// clear forgets everything.
func (t *failures) clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.Lock()
		clear(s.m)
		s.Unlock()
	}
}

// get returns a failure that is still remembered.
func (t *failures) get(z *zone, labels []byte, typ uint16, now uint32) (failure, bool) {
	if now >= t.last.Load() {
		return failure{}, false
	}
	s := t.shard(labels)
	s.Lock()
	defer s.Unlock()
	// A composite literal with a converted slice as map key does not allocate.
	e, ok := s.m[failureKey{z, typ, string(labels)}]
	if !ok || e.until <= now || e.epoch != z.epoch.Load() {
		return failure{}, false
	}
	return e.why, true
}
