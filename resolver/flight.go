package resolver

import (
	"hash/maphash"
	"sync"
	"time"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// flightKey names a fact that is being fetched.
type flightKey struct {
	kind   needKind
	zone   *zone
	typ    uint16
	labels string
}

// flight is the fetching of one fact, once, for all who wait for it.
type flight struct {
	key     flightKey
	subject rbl.Subject
	rule    string // see need
	shard   *flightShard
	started time.Time
	waiters []*waiter
	alone   [1]*waiter // room for waiters: most have one

	// name is what the list is asked about; labels its beginning, the subject.
	// Both are empty while live terms are evaluated.
	name   wire.Name
	labels []byte
}

// question is what the flight is about.
func (f *flight) question() question {
	return question{zone: f.key.zone, subject: f.subject, labels: f.labels, typ: f.key.typ}
}

// flights holds what is being fetched, in shards, so that questions about
// different subjects do not meet at one lock.
type flights struct {
	seed   maphash.Seed
	shards [64]flightShard
	wg     sync.WaitGroup
}

type flightShard struct {
	sync.Mutex
	m map[flightKey]*flight
}

func newFlights() *flights {
	t := &flights{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].m = make(map[flightKey]*flight)
	}
	return t
}

func (t *flights) shard(labels []byte) *flightShard {
	return &t.shards[maphash.Bytes(t.seed, labels)%uint64(len(t.shards))]
}

// join adds w, which may be nil, to the flight that fetches n. first says that
// there was none before, and that the caller has to start it.
func (t *flights) join(n *need, w *waiter) (f *flight, first bool) {
	s := t.shard(n.labels)
	s.Lock()
	defer s.Unlock()
	f = s.m[flightKey{n.kind, n.zone, n.typ, string(n.labels)}] // makes no string
	if f == nil {
		key := flightKey{n.kind, n.zone, n.typ, string(n.labels)}
		f = &flight{key: key, subject: n.subject, rule: n.rule, shard: s, started: time.Now()}
		f.waiters = f.alone[:0]
		s.m[key] = f
		t.wg.Add(1)
		first = true
	}
	if w != nil {
		f.waiters = append(f.waiters, w)
	}
	return f, first
}

// land takes the flight off the table and returns those who wait for it.
func (t *flights) land(f *flight) []*waiter {
	s := f.shard
	s.Lock()
	defer s.Unlock()
	delete(s.m, f.key)
	return f.waiters
}

// fetch sees that the fact n arrives, and that w, which may be nil, hears of
// it. It returns how long the fetching has gone on already.
func (r *Resolver) fetch(n *need, w *waiter) time.Duration {
	f, first := r.flights.join(n, w)
	if !first {
		return time.Since(f.started)
	}
	if n.kind == needLive {
		r.fetchLive(f)
		return 0
	}
	// The flight before this one may have landed since decide looked.
	f.name = n.zone.upstreamName(n.labels)
	f.labels = f.name[:len(n.labels)]
	q := f.question()
	left := uint32(0)
	if e, ok := r.cache.Get(n.zone.key(&q, n.typ)); ok && e.Expires > r.clock.seconds() {
		left = e.Expires - r.clock.seconds()
		if !n.renew {
			r.landed(f, listAnswer{state: fresh, data: packed(e.Data), ttl: left})
			return 0
		}
		left += clockSkew // what another proxy has is newer, or no use
	}
	ask := Ask{Subject: n.subject, Name: f.name, Type: n.typ, Background: w == nil}
	if w != nil {
		ask.Client = w.client
	}
	if !r.askShared(f, ask, left) {
		r.askList(f, ask)
	}
	return 0
}

// askList asks the list itself, unless its breaker is open.
func (r *Resolver) askList(f *flight, ask Ask) {
	if why, open := f.key.zone.breaker(f.subject.Shape); open {
		r.landed(f, r.lose(f, why, 0))
		return
	}
	f.key.zone.List.Start(ask, func(res Result) { r.landed(f, r.take(f, &res)) })
}

// fetchLive has the SPF terms evaluated that depend on the address.
func (r *Resolver) fetchLive(f *flight) {
	table := r.rules.Table()
	hits := table.Lookup(f.subject.Addr).AppendLive(nil, f.key.zone.index(table), r.clock.now())
	r.rules.LiveStart(f.subject.Addr, hits, func() { r.landed(f, listAnswer{}) })
}

// landed hands a fact to those who wait for it.
func (r *Resolver) landed(f *flight, a listAnswer) {
	defer r.flights.wg.Done()
	got := fetched{kind: f.key.kind, zone: f.key.zone, typ: f.key.typ, answer: a}
	for _, w := range r.flights.land(f) {
		w.mu.Lock()
		if w.got == nil {
			w.got = w.firstGot[:0]
		}
		w.got = append(w.got, got)
		w.mu.Unlock()
		w.resume()
	}
}

// take keeps what a list said, or that it failed, and returns it as a fact.
func (r *Resolver) take(f *flight, res *Result) listAnswer {
	z, typ, q := f.key.zone, f.key.typ, f.question()
	why := z.failure(res.Err)
	z.counts.asked(res, why)
	if res.Err != nil {
		return r.lose(f, why, res.HoldFor)
	}
	data := pack(&res.Response, typ, z.hide.rdata)
	limits := &r.snap.Load().limits
	life := limits.life(&res.Response)
	if life > 0 {
		r.cache.Set(z.key(&q, typ), string(data), life, limits.stale)
		r.share(f, data, life)
	}
	z.learned(f, data)
	return listAnswer{state: fresh, data: data, ttl: life}
}

// lose remembers for hold that a list did not answer, and returns what is left.
func (r *Resolver) lose(f *flight, why failure, hold time.Duration) listAnswer {
	z, typ, q := f.key.zone, f.key.typ, f.question()
	r.fails.put(z, f.key.labels, typ, why, hold, r.clock.seconds())
	if e, ok := r.cache.Get(z.key(&q, typ)); ok && !why.distrust {
		return listAnswer{state: stale, data: packed(e.Data), why: why}
	}
	return listAnswer{state: failing, why: why}
}

// learned counts what a list says of a subject, whoever has asked it.
func (z *zone) learned(f *flight, data packed) {
	if f.key.typ != wire.TypeA {
		return
	}
	z.counts.listed(z, data)
	if f.rule != "" {
		z.counts.savedListing(z, f.rule, data)
	}
}
