package resolver

import (
	"net/netip"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// Scratch is the memory that answering takes. It has one owner at a time; the
// goroutine that reads packets keeps one for all of them.
type Scratch struct {
	snap     *snapshot
	query    wire.Query
	question question // what query asks; without a zone when it is in none
	facts    facts
	out      []byte
	shard    int // which of the counters' shards

	answered uint32 // packets so far
	weight   uint64 // how many answers this one is timed for, since started; 0: it is not
	started  time.Time
}

// NewScratch returns a Scratch. Owners that work side by side should count in
// different shards; any number will do.
func NewScratch(shard int) *Scratch {
	return &Scratch{out: make([]byte, 0, 4096), shard: shard}
}

// borrow returns a Scratch for a moment, for those who own none: whoever hands
// a fact to a question that waited. These are counted in a shard of their own.
func (r *Resolver) borrow() *Scratch {
	if sc := r.scratch.Get(); sc != nil {
		return sc
	}
	return NewScratch(r.stats.shards - 1)
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
	sc.snap = r.snap.Load()
	return r.respond(sc, pkt, client.Unmap(), tcp)
}

// Await answers the packet of which [Resolver.Respond] has just said that it
// is not done, with the same sc, once what it lacks has been fetched. It copies
// pkt, does not block, and calls reply exactly once; the bytes are valid during
// that call.
func (r *Resolver) Await(sc *Scratch, pkt []byte, client netip.Addr, tcp bool, reply func([]byte)) {
	w := r.newWaiter(sc, pkt, client.Unmap(), tcp, reply)
	w.enter()
	switch {
	case w.question.zone == nil:
		w.relay(sc)
	case w.final != "":
		w.resume()
	default:
		w.held = sc.facts.hadStale
		w.await(w.fresh(sc.facts.lacks), w.held, false)
	}
}

// respond answers a packet with the facts at hand.
func (r *Resolver) respond(sc *Scratch, pkt []byte, client netip.Addr, tcp bool) (out []byte, done bool) {
	q, snap := &sc.query, sc.snap
	fault := q.Parse(pkt)
	if fault == wire.Drop {
		return nil, true
	}
	switch {
	case !snap.clients.Contains(client):
		if !r.refusals.Allow() {
			return nil, true
		}
		return r.refuse(sc, pkt, wire.RcodeRefused), true
	case fault != wire.OK:
		return r.refuse(sc, pkt, uint16(fault)), true
	case q.Class != wire.ClassIN || q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR:
		return r.refuse(sc, pkt, wire.RcodeRefused), true
	}
	if t := r.traps.Load(); t != nil && t.caught(q) {
		return r.refuse(sc, pkt, wire.RcodeRefused), true
	}
	z := snap.zones.find(q)
	// The DS of a zone belongs to its parent. RFC 4035, section 3.1.4.1.
	if z == nil || q.Type == wire.TypeDS && q.Labels() == z.labels {
		if snap.relay == nil {
			return r.refuse(sc, pkt, wire.RcodeRefused), true
		}
		sc.question = question{}
		return nil, false
	}

	sc.question = z.read(q)
	r.prepare(&sc.facts, nil)
	d := decide(&sc.question, &sc.facts)
	if d.lacking {
		return nil, false
	}
	r.account(sc, &sc.question, &d, client, nil)
	sc.out = render(sc.out, &q.Head, &sc.question, &d, pkt, room(&q.Head, tcp))
	return sc.out, true
}

// serves reports whether a client may ask.
func (r *Resolver) serves(client netip.Addr) bool { return r.snap.Load().clients.Contains(client) }

// room is the most octets that the answer to a query may have.
func room(head *wire.Head, tcp bool) int {
	if tcp {
		return maxTCP
	}
	return head.UDPSize
}

// prepare gathers the facts at hand.
func (r *Resolver) prepare(f *facts, w *waiter) {
	f.rules, f.cache, f.fails = r.rules, r.cache, r.fails
	f.clock, f.now = r.clock.seconds(), r.clock.now()
	f.second = r.second != nil
	clear(f.weighed) // a zone that is gone, and its data, would be held by them
	f.lacks, f.renew, f.weighed, f.hadStale = f.lacks[:0], f.renew[:0], f.weighed[:0], false
	f.got, f.slow, f.final, f.steps = nil, false, "", nil
	if w != nil {
		f.got, f.slow, f.final, f.steps = w.got, w.slow, w.final, w.steps
	}
}

// refuse answers, and counts, a question that is not decided about.
func (r *Resolver) refuse(sc *Scratch, pkt []byte, rcode uint16) []byte {
	r.stats.general.count(sc.shard, Refused)
	return sc.bare(&sc.query.Head, pkt, rcode, 0, "")
}

// bare is an answer that holds nothing but its response code and, with an ede
// other than 0, the reason. RFC 8914.
func (sc *Scratch) bare(head *wire.Head, pkt []byte, rcode, ede uint16, reason string) []byte {
	rep := wire.Begin(sc.out, pkt, head, rcode, maxTCP)
	sc.out = rep.Finish(rcode, ede, reason)
	return sc.out
}
