package resolver

import (
	"net/netip"
	"slices"
	"time"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// sampleEvery is how many answers of the short paths stand for one that is
// timed: reading the clock twice would be a tenth of their cost.
const sampleEvery = 64

// weightOf is how many answers the n-th of an owner is timed for. The first
// ones are timed each, so that few questions are not none.
func weightOf(n uint32) uint64 {
	switch {
	case n <= sampleEvery:
		return 1
	case n%sampleEvery == 0:
		return sampleEvery
	}
	return 0
}

// account counts a decision that is about to be given, writes it down if it
// matters, and starts what is to be fetched in the background. w is what waited
// for it, nil when nothing did.
func (r *Resolver) account(sc *Scratch, q *question, d *decision, client netip.Addr, w *waiter) {
	since, weight := sc.started, sc.weight
	if w != nil {
		since, weight = w.arrived, 1
	}
	if weight > 0 {
		r.stats.durations[d.path(w)].observe(sc.shard, time.Since(since), weight)
	}
	for i := range sc.facts.weighed {
		m := &sc.facts.weighed[i]
		m.zone.counts.shards[sc.shard].weighed[m.decision.verdict].Add(1)
		asked := *q
		asked.zone = m.zone
		var waited *waiter
		if w != nil && slices.ContainsFunc(w.joined, func(k fetchedKey) bool { return k.zone == m.zone }) {
			waited = w
		}
		r.tally(sc, &asked, &m.decision, waited)
	}
	q.zone.counts.count(sc.shard, d.verdict)
	r.tally(sc, q, d, w)
	if d.verdict == Exempt {
		q.zone.counts.exempt.counter(d.hit.Rule.Name).Inc()
	}
	r.renew(&sc.facts)
	if d.verdict != Unlisted {
		r.log.note(q, d, client, w != nil || !q.zone.asks(), r.clock.now())
	}
}

// tally counts what the list of a zone said, asked by itself or as a member of
// another, and finds out what an exemption saves.
func (r *Resolver) tally(sc *Scratch, q *question, d *decision, w *waiter) {
	z := q.zone
	if z.asks() && (w != nil || d.data != "") { // else no answer of the list was needed, or none had
		z.counts.shards[sc.shard].request[d.path(w)].Add(1)
	}
	switch d.verdict {
	case Unlisted:
		return
	case Exempt:
		r.verify(&sc.facts, q, d)
	case Listed, Denied:
		switch {
		case q.subject.Test != rbl.NotTest || q.typ != wire.TypeA && q.typ != wire.TypeTXT:
			z.counts.again.Add(1)
		case q.typ == wire.TypeTXT:
			z.counts.texts.Add(1)
		}
		r.log.listing(q, d.verdict == Denied || w != nil || !z.asks(), r.clock.now())
	}
	if d.removed && (q.typ == wire.TypeA || w != nil) { // its text, asked for later, is no other one
		z.counts.savedListing(z, d.hit.Rule.Name, d.data)
	}
}

// path is the way on which d was found.
func (d *decision) path(w *waiter) path {
	switch {
	case d.stale:
		return pathStale
	case w != nil:
		return pathMiss
	case d.data == "" && (d.verdict == Exempt || d.verdict == Denied || d.form == formOwn):
		return pathOverride
	}
	return pathHit
}

// renew fetches answers that run out soon and are still asked for.
func (r *Resolver) renew(f *facts) {
	if len(f.renew) == 0 || !r.snap.Load().prefetch {
		return
	}
	for i := range f.renew {
		n := &f.renew[i]
		n.renew = true
		r.fetchAside(n)
	}
}

// fetchAside fetches what nobody waits for, unless that failed lately or too
// much of the kind is being fetched.
func (r *Resolver) fetchAside(n *need) {
	_, failed := r.fails.get(n.zone, n.labels, n.typ, r.clock.seconds())
	if !failed && r.flights.alone.Load() < mostAlone {
		r.fetch(n, nil, time.Now())
	}
}

// verify asks the list about an exempt subject, so that what the exemption
// saves is known. Nobody waits for it. Data of our own is at hand.
func (r *Resolver) verify(f *facts, q *question, d *decision) {
	z := q.zone
	if z.File != nil && d.data == "" && q.typ == wire.TypeA {
		z.counts.savedListing(z, d.hit.Rule.Name, f.fromFile(q, wire.TypeA).data)
	}
	if !z.Verify || z.Source != SourceUpstream || d.data != "" {
		return
	}
	if e, ok := r.cache.Get(z.key(q, wire.TypeA)); ok && e.Expires > r.clock.seconds() {
		if q.typ == wire.TypeA { // likewise
			z.counts.savedListing(z, d.hit.Rule.Name, packed(e.Data))
		}
		return
	}
	if _, _, open := z.List.Open(q.subject.Shape); open {
		return
	}
	if _, bad := z.List.Quarantined(); bad {
		return
	}
	r.fetchAside(&need{question: q.of(wire.TypeA), rule: d.hit.Rule.Name})
}
