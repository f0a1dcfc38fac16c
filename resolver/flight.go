package resolver

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/internal/spare"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/upstream"
)

// flight is the fetching of one fact, once, for all who wait for it. It is
// used again when it has landed.
type flight struct {
	question // its labels are the beginning of name
	kind     needKind
	rule     string // see need
	alone    bool   // nobody waited for it when the list was asked
	started  time.Time
	waiters  []*waiter

	name wire.Name // what the list is asked about

	hash uint64
	next *flight // of its chain

	// heard is given what the list says. It is made once; making it allocates.
	heard func(upstream.Outcome)
}

// mostAlone bounds the flights that nobody waits for, each about a kilobyte: those
// that somebody waits for are bounded by who does.
const mostAlone = 10_000

// keptWaiters is for how many waiters a flight keeps room when it has landed.
const keptWaiters = 64

// fetches reports whether f fetches n.
func (f *flight) fetches(n *need) bool {
	return f.kind == n.kind && f.zone == n.zone && f.typ == n.typ && string(f.labels) == string(n.labels)
}

// flights holds what is being fetched, in shards, so that questions about
// different subjects do not meet at one lock.
type flights struct {
	r      *Resolver
	seed   maphash.Seed
	shards [64]flightShard
	free   spare.List[flight]
	alone  atomic.Int64 // flights that nobody waited for when the list was asked
	wg     sync.WaitGroup
}

// flightShard holds its flights in chains: a map of so few costs several times
// as much.
type flightShard struct {
	sync.Mutex
	chains [64]*flight
}

// newFlights returns the table of what r fetches.
func newFlights(r *Resolver) *flights { return &flights{r: r, seed: maphash.MakeSeed()} }

// spare returns a flight that has landed, or a new one.
func (t *flights) spare() *flight {
	f := t.free.Get()
	if f == nil {
		f = &flight{}
		f.heard = func(o upstream.Outcome) { t.r.landed(f, t.r.take(f, &o)) }
	}
	return f
}

func (t *flights) hash(n *need) uint64 {
	return maphash.Bytes(t.seed, n.labels) + n.zone.salt + uint64(n.typ)<<1 + uint64(n.kind)
}

func (t *flights) shard(hash uint64) *flightShard { return &t.shards[hash%uint64(len(t.shards))] }

// chain returns where those stand that share some bits of their hash, other
// than those that chose the shard.
func (s *flightShard) chain(hash uint64) **flight { return &s.chains[hash>>32%uint64(len(s.chains))] }

// join adds w, which may be nil, to the flight that fetches n, and says for
// how long that has been under way. If there is none f is a new one, which the
// caller has to start.
func (t *flights) join(n *need, w *waiter, now time.Time) (f *flight, age time.Duration) {
	hash := t.hash(n)
	s := t.shard(hash)
	s.Lock()
	defer s.Unlock()
	first := s.chain(hash)
	for f = *first; f != nil; f = f.next {
		if f.hash == hash && f.fetches(n) {
			if w != nil {
				f.waiters = append(f.waiters, w)
			}
			return nil, now.Sub(f.started)
		}
	}
	f = t.spare()
	f.question, f.kind, f.rule, f.started = n.question, n.kind, n.rule, now
	if f.alone = w == nil; f.alone {
		t.alone.Add(1)
	}
	f.name = append(append(f.name[:0], n.labels...), n.zone.upstream...)
	f.labels = f.name[:len(n.labels)]
	f.hash, f.next, *first = hash, *first, f
	if w != nil {
		f.waiters = append(f.waiters, w)
	}
	t.wg.Add(1)
	return f, 0
}

// land takes the flight off the table: nobody joins it any more. It is false,
// and the flight goes on, if it was refused because nobody waited for it, and
// somebody does by now.
func (t *flights) land(f *flight, spared bool) bool {
	s := t.shard(f.hash)
	s.Lock()
	defer s.Unlock()
	if spared && len(f.waiters) > 0 {
		return false
	}
	at := s.chain(f.hash)
	for *at != f {
		at = &(*at).next
	}
	*at = f.next
	return true
}

// reuse lets go of all that f holds.
func (t *flights) reuse(f *flight) {
	if cap(f.waiters) > keptWaiters {
		f.waiters = nil // of a rush
	}
	if f.alone {
		t.alone.Add(-1)
	}
	clear(f.waiters)
	f.waiters = f.waiters[:0]
	f.question, f.rule, f.next = question{}, "", nil
	t.free.Put(f)
	t.wg.Done()
}

// fetch sees that the fact n arrives, and that w, which may be nil, hears of
// it. It returns how long the fetching has gone on already.
func (r *Resolver) fetch(n *need, w *waiter, now time.Time) time.Duration {
	f, age := r.flights.join(n, w, now)
	if f == nil {
		return age
	}
	if n.kind == needLive {
		r.fetchLive(f)
		return 0
	}
	// The flight before this one may have landed since decide looked.
	left := uint32(0)
	if e, ok := r.cache.Get(n.zone.key(&n.question, n.typ)); ok && e.Expires > r.clock.seconds() {
		left = e.Expires - r.clock.seconds()
		if !n.renew || left*10 > e.Life {
			r.landed(f, listAnswer{state: fresh, data: packed(e.Data), ttl: left})
			return 0
		}
		left += clockSkew // what another proxy has is newer, or no use
	}
	if !r.askShared(f, left) {
		r.askList(f)
	}
	return 0
}

// askList asks the list itself, unless its breaker is open.
func (r *Resolver) askList(f *flight) {
	if why, open := f.zone.breaker(f.subject.Shape); open {
		r.landed(f, r.lose(f, why, 0))
		return
	}
	f.zone.List.Start(upstream.Ask{
		Question: upstream.Question{Name: f.name, Type: f.typ},
		Shape:    f.subject.Shape, Subject: f.subject.Addr, Background: f.alone,
	}, f.heard)
}

// fetchLive has the SPF terms evaluated that depend on the address.
func (r *Resolver) fetchLive(f *flight) {
	table := r.rules.Table()
	hits := table.Lookup(f.subject.Addr).Live(f.zone.Name, r.clock.now())
	r.rules.LiveStart(f.subject.Addr, hits, func() { r.landed(f, listAnswer{}) })
}

// landed hands a fact to those who wait for it.
func (r *Resolver) landed(f *flight, a listAnswer) {
	if !r.flights.land(f, a.why.spare) {
		f.alone = false
		r.flights.alone.Add(-1)
		r.askList(f)
		return
	}
	got := fetched{kind: f.kind, zone: f.zone, typ: f.typ, answer: a}
	for _, w := range f.waiters {
		w.mu.Lock()
		if w.got == nil {
			w.got = w.firstGot[:0]
		}
		w.got = append(w.got, got)
		w.mu.Unlock()
		w.resume()
	}
	r.flights.reuse(f)
}

// take keeps what a list said, or that it failed, and returns it as a fact.
func (r *Resolver) take(f *flight, o *upstream.Outcome) listAnswer {
	z, typ := f.zone, f.typ
	why := z.failure(o.Err)
	why.spare = f.alone && errors.Is(o.Err, upstream.ErrBudget)
	z.counts.asked(o, why)
	if o.Err != nil {
		return r.lose(f, why, holdFor(o))
	}
	if why, quarantined := z.List.Quarantined(); quarantined { // since it was asked
		return listAnswer{state: failing, why: lies(why)}
	}
	data := z.pack(&o.Response, typ)
	limits := &r.snap.Load().limits
	life, keep := limits.life(&o.Response), limits.stale
	if z.Source == SourceRDNS && data.has() {
		keep = 0 // past its TTL it would have a failure of DNS be a listing
	}
	key := z.key(&f.question, typ)
	if life > 0 {
		r.cache.Set(key, string(data), life, keep)
		r.share(f, data, life)
	} else if _, old := r.cache.Get(key); old {
		r.cache.Set(key, "", 0, 0) // it is no longer so, not even while the list fails
	}
	z.learned(f, data)
	return listAnswer{state: fresh, data: data, ttl: life}
}

// lose remembers for hold that a list did not answer, and returns what is left.
func (r *Resolver) lose(f *flight, why failure, hold time.Duration) listAnswer {
	r.fails.put(&f.question, why, hold, r.clock.seconds())
	if e, ok := r.cache.Get(f.zone.key(&f.question, f.typ)); ok {
		return listAnswer{state: stale, data: packed(e.Data), why: why}
	}
	return listAnswer{state: failing, why: why}
}

// learned counts what a list says of a subject, whoever has asked it.
func (z *zone) learned(f *flight, data packed) {
	if f.typ != wire.TypeA {
		return
	}
	z.counts.listed(z, data)
	if f.rule != "" {
		z.counts.savedListing(z, f.rule, data)
	}
}
