package resolver

import (
	"net/netip"
	"slices"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// Scratch is the memory that answering takes. It has one owner at a time; the
// goroutine that reads packets keeps one for all of them.
type Scratch struct {
	query wire.Query
	facts facts
	out   []byte
	shard int // which of the counters' shards

	answered uint32 // packets so far
	weight   uint64 // how many answers this one is timed for, since started; 0: it is not
	started  time.Time
}

// NewScratch returns a Scratch. Owners that work side by side should count in
// different shards; any number will do.
func NewScratch(shard int) *Scratch {
	return &Scratch{out: make([]byte, 0, 4096), shard: shard}
}

// maxTCP is the most octets that a message over TCP can have.
const maxTCP = 65535

// Respond answers the packet of a client, if that can be done at once. The
// answer is valid until sc is used again, and nil when none is to be sent.
// done is false when facts have to be fetched first: the caller then hands
// packet, client and a way back to [Resolver.Await].
func (r *Resolver) Respond(sc *Scratch, pkt []byte, client netip.Addr, tcp bool) (out []byte, done bool) {
	sc.answered++
	if sc.weight = weightOf(sc.answered); sc.weight > 0 {
		sc.started = time.Now()
	}
	sc.facts.lacks = sc.facts.lacks[:0]
	return r.respond(sc, r.snap.Load(), pkt, client, tcp, nil)
}

// Await answers the packet of which [Resolver.Respond] has just said that it
// is not done, with the same sc, once what it lacks has been fetched. It copies
// pkt, does not block, and calls reply exactly once; the bytes are valid during
// that call.
func (r *Resolver) Await(sc *Scratch, pkt []byte, client netip.Addr, tcp bool, reply func([]byte)) {
	w := &waiter{
		r: r, snap: r.snap.Load(), pkt: slices.Clone(pkt), client: client, tcp: tcp,
		arrived: time.Now(), reply: reply,
	}
	w.enter()
	if len(sc.facts.lacks) == 0 || w.final != "" {
		w.resume() // to be relayed, or to do with what is at hand
		return
	}
	w.mu.Lock()
	lacks := w.fresh(sc.facts.lacks)
	w.mu.Unlock()
	w.await(lacks, sc.facts.hadStale, false)
}

// respond is the one way from a packet to its answer. w is nil in the first
// call, and what waits in later ones, with its lock held.
func (r *Resolver) respond(sc *Scratch, snap *snapshot, pkt []byte, client netip.Addr, tcp bool, w *waiter) ([]byte, bool) {
	q := &sc.query
	fault := q.Parse(pkt)
	if fault == wire.Drop {
		return nil, true
	}
	client = client.Unmap()
	if !snap.clients.Contains(client) {
		if !r.refusals.Allow() {
			return nil, true
		}
		r.stats.general.count(sc.shard, Refused)
		return r.plain(sc, pkt, wire.RcodeRefused), true
	}
	switch {
	case fault == wire.FormErr:
		return r.plain(sc, pkt, wire.RcodeFormErr), true
	case fault == wire.NotImp:
		return r.plain(sc, pkt, wire.RcodeNotImp), true
	case fault == wire.BadVers:
		return r.plain(sc, pkt, wire.RcodeBadVers), true
	case q.Class != wire.ClassIN || q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR:
		r.stats.general.count(sc.shard, Refused)
		return r.plain(sc, pkt, wire.RcodeRefused), true
	}
	if t := r.traps.Load(); t != nil && t.caught(q) {
		return r.plain(sc, pkt, wire.RcodeRefused), true
	}
	z := snap.zones.find(q)
	// The DS of a zone belongs to its parent. RFC 4035, section 3.1.4.1.
	if z == nil || q.Type == wire.TypeDS && q.Labels() == z.labels {
		return r.other(sc, snap, pkt, tcp, w)
	}

	qu := z.read(q)
	r.prepare(&sc.facts, w)
	d := decide(&qu, &sc.facts)
	if d.lacking {
		return nil, false
	}
	room := maxTCP
	if !tcp {
		room = q.UDPSize
	}
	r.account(sc, &qu, &d, client, w)
	sc.out = render(sc.out, q, &qu, &d, pkt, room)
	return sc.out, true
}

// prepare gathers the facts at hand.
func (r *Resolver) prepare(f *facts, w *waiter) {
	f.rules, f.table, f.cache, f.fails = r.rules, r.rules.Table(), r.cache, r.fails
	f.clock, f.now = r.clock.seconds(), r.clock.now()
	f.second = r.second != nil
	f.lacks, f.renew, f.hadStale = f.lacks[:0], f.renew[:0], false
	f.got, f.slow, f.final, f.trace = nil, false, "", nil
	if w != nil {
		f.got, f.slow, f.final, f.trace = w.got, w.slow, w.final, w.trace
	}
}

// plain is an answer that holds nothing but its response code.
func (r *Resolver) plain(sc *Scratch, pkt []byte, rcode uint16) []byte {
	rep := wire.Begin(sc.out, pkt, &sc.query, rcode, maxTCP)
	sc.out = rep.Finish(rcode, 0)
	return sc.out
}

// servfail is SERVFAIL with its reason. RFC 8914.
func (r *Resolver) servfail(sc *Scratch, pkt []byte, ede uint16, reason string) []byte {
	rep := wire.Begin(sc.out, pkt, &sc.query, wire.RcodeServFail, maxTCP)
	sc.out = rep.Finish(wire.RcodeServFail, ede, reason)
	return sc.out
}

// other answers for a name outside every zone.
func (r *Resolver) other(sc *Scratch, snap *snapshot, pkt []byte, tcp bool, w *waiter) ([]byte, bool) {
	if snap.relay == nil {
		r.stats.general.count(sc.shard, Refused)
		return r.plain(sc, pkt, wire.RcodeRefused), true
	}
	if w == nil {
		return nil, false
	}
	if w.final != "" {
		return r.servfail(sc, pkt, edeNetwork, w.final), true
	}
	r.relay(sc, snap, pkt, tcp, w)
	return nil, false
}
