package resolver

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// slowAfter is how long a list may take before an answer past its TTL stands
// in. RFC 8767, section 5 speaks of 1.8 s; a mail server that asks ten lists
// while a client waits for its greeting has less patience.
const slowAfter = 400 * time.Millisecond

// waiter is a question that lacks facts. Each time one arrives it is decided
// anew, from its packet on, with the zones that were in force when it came.
type waiter struct {
	r       *Resolver
	snap    *snapshot
	pkt     []byte // its own copy
	client  netip.Addr
	tcp     bool
	arrived time.Time
	trace   *Trace

	// reply is given the answer, once; nil when there is none to give. The
	// bytes are only valid during the call.
	reply func([]byte)

	// inner and decided stand for pkt and reply where the question did not
	// come as a packet.
	inner   *question
	decided func(decision)

	mu      sync.Mutex
	done    bool
	slow    bool
	final   string // why it waits no longer; empty while it does
	relayed bool   // handed to a recursive resolver
	got     []fetched
	joined  []fetchedKey
	timers  []*time.Timer // that end a wait that is too long

	// Room for got and joined: most questions wait once, for one fact.
	firstGot    [1]fetched
	firstJoined [1]fetchedKey
}

// fetchedKey is what a waiter waits for already.
type fetchedKey struct {
	kind needKind
	zone *zone
	typ  uint16
}

// resume decides the question again. It is called when the waiter starts,
// when a fact arrives and when the list has taken long.
func (w *waiter) resume() {
	sc := w.r.scratch.Get().(*Scratch)
	defer w.r.scratch.Put(sc)

	w.mu.Lock()
	if w.done {
		w.mu.Unlock()
		return
	}
	d, out, complete := w.decide(sc)
	if complete {
		w.finish()
		w.mu.Unlock()
		if w.inner != nil {
			w.decided(d)
		} else {
			w.reply(out)
		}
		return
	}
	second := len(w.joined) > 0
	lacks := w.fresh(sc.facts.lacks)
	hadStale := sc.facts.hadStale
	w.mu.Unlock()
	w.await(lacks, hadStale, second)
}

// await has what lacks fetched. hadStale says that an old answer may stand in
// for one of them, second that w has waited before.
func (w *waiter) await(lacks []need, hadStale, second bool) {
	for i := range lacks {
		age := w.r.fetch(&lacks[i], w)
		if hadStale {
			w.wakeAfter(slowAfter-age, func() { w.slow = true })
		}
	}
	if second && len(lacks) > 0 {
		// Each fact comes or fails within the deadline, but this is not the
		// first one; the deadline is for the whole question.
		w.wakeAfter(w.snap.deadline-time.Since(w.arrived), func() { w.final = "no answer within the deadline" })
	}
}

// decide decides with the facts at hand: d of an inner question, out of a
// packet. complete is false while facts are lacking. The caller holds w.mu.
func (w *waiter) decide(sc *Scratch) (d decision, out []byte, complete bool) {
	if w.inner != nil {
		if w.trace != nil {
			w.trace.Steps = w.trace.Steps[:0] // those of a call that lacked facts come again
		}
		w.r.prepare(&sc.facts, w)
		d = decide(w.inner, &sc.facts)
		return d, nil, !d.lacking
	}
	out, complete = w.r.respond(sc, w.snap, w.pkt, w.client, w.tcp, w)
	return d, out, complete
}

// enter counts w among those who wait. When they are too many, it has to do
// with the facts at hand.
func (w *waiter) enter() {
	if !w.r.bounds.enter(w.client) {
		w.final = "too many questions are waiting"
	}
}

// fresh returns the needs that w does not wait for yet, in the same memory, and
// notes them.
func (w *waiter) fresh(lacks []need) []need {
	out := lacks[:0]
	for _, n := range lacks {
		key := fetchedKey{n.kind, n.zone, n.typ}
		if slices.Contains(w.joined, key) {
			continue
		}
		if w.joined == nil {
			w.joined = w.firstJoined[:0]
		}
		w.joined = append(w.joined, key)
		out = append(out, n)
	}
	return out
}

// wakeAfter decides the question again after d, with what change says.
func (w *waiter) wakeAfter(d time.Duration, change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	w.timers = append(w.timers, time.AfterFunc(d, func() {
		w.mu.Lock()
		change()
		w.mu.Unlock()
		w.resume()
	}))
}

// finish ends the wait. The caller holds w.mu.
func (w *waiter) finish() {
	w.done = true
	for _, t := range w.timers {
		t.Stop()
	}
	w.r.bounds.leave(w.client)
}

// abandon ends the wait without an answer: who asked is gone.
func (w *waiter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		w.finish()
	}
}
