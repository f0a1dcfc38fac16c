package resolver

import (
	"encoding/binary"

	"dnsblproxy/resolver/internal/wire"
)

// relay passes the packet of w on, which has its lock, and answers it with
// whatever comes back, unchanged.
func (r *Resolver) relay(sc *Scratch, snap *snapshot, pkt []byte, tcp bool, w *waiter) {
	if w.relayed {
		return
	}
	w.relayed = true
	room := maxTCP
	if !tcp {
		room = sc.query.Takes
	}
	snap.relay.Relay(pkt, tcp, func(answer []byte, err error) { w.pass(answer, err, room) })
}

// pass gives w what a resolver answered; SERVFAIL and why when it did not.
func (w *waiter) pass(answer []byte, err error, room int) {
	sc := w.r.scratch.Get().(*Scratch)
	defer w.r.scratch.Put(sc)
	w.mu.Lock()
	if w.done {
		w.mu.Unlock()
		return
	}
	w.finish()
	w.mu.Unlock()

	sc.query.Parse(w.pkt)
	switch {
	case err != nil || len(answer) < wire.HeaderLen:
		reason := "the resolver's answer is no DNS message"
		if err != nil {
			reason = err.Error()
		}
		answer = w.r.servfail(sc, w.pkt, edeUnreachable, reason)
	case len(answer) > room && !w.tcp:
		// The client takes less than the resolver sent.
		answer = w.r.plain(sc, w.pkt, uint16(answer[3]&0xf))
		binary.BigEndian.PutUint16(answer[2:], binary.BigEndian.Uint16(answer[2:])|1<<9)
	}
	w.r.stats.general.count(sc.shard, Forwarded)
	w.r.stats.took(sc.shard, pathForward, w.arrived)
	w.reply(answer)
}
