package resolver

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// slowAfter is how long a list may take before an answer past its TTL stands
// in. RFC 8767, section 5 speaks of 1.8 s; a mail server that asks ten lists
// while a client waits for its greeting has less patience.
const slowAfter = 400 * time.Millisecond

// waiter is a question that lacks facts. Each time one arrives it is decided
// anew, with the zones that were in force when it came.
type waiter struct {
	r        *Resolver
	snap     *snapshot
	question question // no zone: a packet to be relayed
	client   netip.Addr
	arrived  time.Time
	place    *atomic.Int64 // among its client's questions that wait

	// What the question came as, and who is given the answer, once; nil when
	// there is none to give. The bytes are only valid during the call.
	head   wire.Head
	labels []byte // memory of question.labels
	pkt    []byte // its own copy
	tcp    bool
	reply  func([]byte)

	// decided stands for these where the question came as no packet.
	decided func(decision)
	steps   *[]Step // of the decision, nil if nobody wants to know them

	mu     sync.Mutex
	done   bool
	slow   bool
	held   bool   // await may look at it once more: it is not used again
	final  string // why it waits no longer; empty while it does
	got    []fetched
	joined []fetchedKey
	timers []*time.Timer // that end a wait that is too long

	// Room for got and joined: most questions wait once, for one fact.
	firstGot    [1]fetched
	firstJoined [1]fetchedKey
}

// keptPacket is how large a packet may be whose memory is used again, in octets.
const keptPacket = 512

// fetchedKey is what a waiter waits for already.
type fetchedKey struct {
	kind needKind
	zone *zone
	typ  uint16
}

// newWaiter makes a waiter of the packet that sc has just been used for.
func (r *Resolver) newWaiter(sc *Scratch, pkt []byte, client netip.Addr, tcp bool, reply func([]byte)) *waiter {
	w := r.waiters.Get()
	if w == nil {
		w = &waiter{r: r}
	}
	w.snap, w.client, w.arrived = sc.snap, client, time.Now()
	w.head, w.question = sc.query.Head, sc.question
	w.labels = append(w.labels[:0], sc.question.labels...)
	w.question.labels = w.labels
	w.pkt, w.tcp, w.reply = append(w.pkt[:0], pkt...), tcp, reply
	return w
}

// reuse lets go of all that w holds. Nobody knows of it any more.
func (w *waiter) reuse() {
	w.snap, w.question, w.reply = nil, question{}, nil
	w.done = false
	w.got, w.joined, w.firstGot = nil, nil, [1]fetched{}
	if cap(w.pkt) > keptPacket {
		w.pkt = nil
	}
	w.r.waiters.Put(w)
}

// resume decides the question again. It is called when the waiter starts,
// when a fact arrives and when the list has taken long.
func (w *waiter) resume() {
	sc := w.r.borrow()
	defer w.r.scratch.Put(sc)

	w.mu.Lock()
	if w.done {
		w.mu.Unlock()
		return
	}
	if w.steps != nil {
		*w.steps = (*w.steps)[:0] // those of a call that lacked facts come again
	}
	w.r.prepare(&sc.facts, w)
	d := decide(&w.question, &sc.facts)
	if !d.lacking {
		w.finish()
		// Who has it joined one flight, which has landed, and that is our caller.
		last := !w.held && len(w.joined) == 1 && len(w.got) == 1 && w.timers == nil
		w.mu.Unlock()
		if w.decided != nil {
			w.decided(d)
			return
		}
		w.r.account(sc, &w.question, &d, w.client, w)
		sc.out = render(sc.out, &w.head, &w.question, &d, w.pkt, room(&w.head, w.tcp))
		w.reply(sc.out)
		if last {
			w.reuse()
		}
		return
	}
	again := len(w.joined) > 0
	lacks := w.fresh(sc.facts.lacks)
	hadStale := sc.facts.hadStale
	w.held = w.held || hadStale || again
	w.mu.Unlock()
	w.await(lacks, hadStale, again)
}

// await has what lacks fetched. hadStale says that an old answer may stand in
// for one of them, again that w has waited before; w is held then.
func (w *waiter) await(lacks []need, hadStale, again bool) {
	r, now := w.r, w.arrived
	if again {
		now = time.Now()
	}
	for i := range lacks {
		age := r.fetch(&lacks[i], w, now)
		if hadStale {
			w.wakeAfter(slowAfter-age, func() { w.slow = true })
		}
	}
	if again && len(lacks) > 0 {
		// Each fact comes or fails within the deadline, but this is not the
		// first one; the deadline is for the whole question.
		w.wakeAfter(w.snap.deadline-now.Sub(w.arrived), func() { w.final = "no answer within the deadline" })
	}
}

// enter counts w among those who wait. When they are too many, it has to do
// with the facts at hand.
func (w *waiter) enter() {
	var ok bool
	if w.place, ok = w.r.bounds.enter(w.client); !ok {
		w.final = "too many questions are waiting"
	}
}

// fresh returns the needs that w does not wait for yet, in the same memory, and
// notes them.
func (w *waiter) fresh(lacks []need) []need {
	out := lacks[:0]
	for i := range lacks {
		n := &lacks[i]
		key := fetchedKey{n.kind, n.zone, n.typ}
		if slices.Contains(w.joined, key) {
			continue
		}
		if w.joined == nil {
			w.joined = w.firstJoined[:0]
		}
		w.joined = append(w.joined, key)
		out = append(out, *n)
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
	w.r.bounds.leave(w.place)
}

// abandon ends the wait without an answer: who asked is gone.
func (w *waiter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		w.finish()
	}
}
