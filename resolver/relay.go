package resolver

import (
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// relay passes the packet of w on and answers it with whatever comes back,
// unchanged.
func (w *waiter) relay(sc *Scratch) {
	if w.final != "" {
		w.mu.Lock()
		w.finish()
		w.mu.Unlock()
		w.r.stats.general.count(sc.shard, Forwarded)
		w.reply(sc.bare(&w.head, w.pkt, wire.RcodeServFail, edeUnreachable, w.final))
		return
	}
	w.snap.relay.Relay(w.pkt, w.tcp, w.pass)
}

// pass gives w what a resolver answered; SERVFAIL and why when it did not.
func (w *waiter) pass(answer []byte, err error) {
	sc := w.r.borrow()
	defer w.r.scratch.Put(sc)
	w.mu.Lock()
	if w.done {
		w.mu.Unlock()
		return
	}
	w.finish()
	w.mu.Unlock()

	switch {
	case err != nil || len(answer) < wire.HeaderLen:
		reason := "the resolver's answer is no DNS message"
		if err != nil {
			reason = err.Error()
		}
		answer = sc.bare(&w.head, w.pkt, wire.RcodeServFail, edeUnreachable, reason)
	case !w.tcp && len(answer) > w.head.Takes:
		// The client takes less than the resolver sent, or nobody reads as much.
		// RFC 2181, section 9.
		answer = sc.bare(&w.head, w.pkt, uint16(answer[3]&0xf), 0, "")
		wire.SetTruncated(answer)
	}
	w.r.stats.general.count(sc.shard, Forwarded)
	w.r.stats.durations[pathForward].observe(sc.shard, time.Since(w.arrived), 1)
	w.reply(answer)
}
