package upstream

import (
	"bytes"
	"encoding/binary"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// tryUDP sends the question from a random socket under a random ID.
func (f *flight) tryUDP(s *server, now time.Time) error {
	for range 4 {
		bits := f.pool.rnd.uint64() // half for the socket, half for the ID
		k, err := s.socket(uint32(bits>>32), now)
		if err != nil {
			return err
		}
		if !k.add(f, uint32(bits), f.pool.rnd) {
			k.giveUp()
			continue
		}
		f.table = &k.table
		if _, err = k.conn.Write(f.prepare(s, now)); err != nil {
			f.ground()
			k.giveUp()
			continue // the error may be that of an earlier question
		}
		return nil
	}
	return ErrUnreachable
}

// tryTCP queues the question on the server's connection.
func (f *flight) tryTCP(s *server, now time.Time) error {
	for range 2 {
		c, err := s.stream(now)
		if err != nil {
			return err
		}
		if !c.add(f, uint32(f.pool.rnd.uint64()), f.pool.rnd) {
			c.giveUp()
			continue
		}
		if s.single.lasts(now) {
			c.giveUp() // closed when f has landed
		}
		f.table, f.stream = &c.table, c
		f.answers = c.answers.Load()
		if c.send(f.prepare(s, now)) {
			return nil
		}
		f.ground()
	}
	return ErrUnreachable
}

// prepare returns the query as this try sends it.
func (f *flight) prepare(s *server, now time.Time) []byte {
	binary.BigEndian.PutUint16(f.query, f.id)
	if f.pass != nil {
		return f.query
	}
	name := f.query[wire.HeaderLen : f.qend-4]
	f.plain = f.plain || !f.by.opts.CaseRandom || s.plainCase.lasts(now)
	if f.plain {
		wire.Name(name).Lower()
	} else {
		randomCase(name, f.pool.rnd)
	}
	f.edns = f.edns && !s.plainDNS.lasts(now)
	if f.edns {
		f.query[11] = 1
		return f.query
	}
	f.query[11] = 0
	return f.query[:f.qend]
}

// receive takes a message that came on a table under the ID.
func (f *flight) receive(t *table, id uint16, pkt []byte) {
	f.mu.Lock()
	if !f.waitsOn(t, id) {
		f.mu.Unlock()
		f.pool.Stats.Mismatched.Add(1) // it came twice
		return
	}
	now := time.Now()
	var v verdict
	if f.pass != nil {
		v = f.judgeRelay(pkt, now)
	} else {
		v = f.judge(pkt, now)
	}
	if v == dropped {
		f.pool.Stats.Mismatched.Add(1)
		v = f.mismatch(now)
	}
	f.mu.Unlock()
	if v == landed {
		f.land()
	}
}

// suspect counts a stray packet against the flight if it has its question.
func (f *flight) suspect(t *table, id uint16, pkt []byte) {
	f.upon(t, id, func(now time.Time) verdict {
		if !f.repeats(pkt) {
			return dropped
		}
		return f.mismatch(now)
	})
}

// repeats reports whether a message has the flight's question, case aside.
func (f *flight) repeats(pkt []byte) bool {
	return len(pkt) >= f.qend && wire.Name(pkt[wire.HeaderLen:f.qend]).Equal(f.query[wire.HeaderLen:f.qend])
}

// mismatch counts an answer that does not fit. After a burst of them somebody
// is guessing: TCP cannot be guessed at.
func (f *flight) mismatch(now time.Time) verdict {
	f.mismatches++
	if f.mismatches != maxMismatches || f.stream != nil || f.pass != nil {
		return dropped
	}
	f.pool.Stats.Bursts.Add(1)
	f.tcp = true
	return f.try(now)
}

// judge decides about an answer to a question of our own. The lock is held.
func (f *flight) judge(pkt []byte, now time.Time) verdict {
	if pkt[2]&0xf8 != 0x80 { // QR set, opcode QUERY
		return dropped
	}
	if bare(pkt) {
		f.heard(now)
		return f.rcode(pkt, Question{}, wire.Response{Rcode: pkt[3] & 0x0f}, now)
	}
	if len(pkt) < f.qend || binary.BigEndian.Uint16(pkt[4:]) != 1 {
		return dropped
	}
	// A name sent in lower case proves nothing: it may come back in any.
	if !bytes.Equal(pkt[wire.HeaderLen:f.qend], f.query[wire.HeaderLen:f.qend]) && !(f.plain && f.repeats(pkt)) {
		return f.otherQuestion(pkt, now)
	}
	if !f.plain {
		f.server.keepsCase(true, now)
	}
	// Names in the answer that point into the question are not to get the
	// random case of its letters.
	q := Question{Name: pkt[wire.HeaderLen : f.qend-4], Type: binary.BigEndian.Uint16(f.query[f.qend-4:])}
	q.Name.Lower()
	r, err := wire.ParseResponse(pkt, q, f.by.zone)
	if err == wire.ErrMalformed && f.stream == nil {
		return dropped // perhaps somebody else's
	}
	f.heard(now)
	f.out.Response = r
	switch {
	case err != nil:
		return f.reject(now, ErrServfail)
	case r.Truncated && f.stream != nil:
		return f.reject(now, ErrServfail)
	case r.Truncated:
		f.pool.Stats.Truncated.Add(1)
		f.tcp = true
		return f.try(now)
	}
	return f.rcode(pkt, q, r, now)
}

// bare reports whether an answer is one of those failures that servers answer
// without the question: those who do not understand it, and unbound to those who
// may not ask.
func bare(pkt []byte) bool {
	rcode := pkt[3] & 0x0f
	return binary.BigEndian.Uint16(pkt[4:]) == 0 &&
		(rcode == wire.RcodeFormErr || rcode == wire.RcodeNotImp || rcode == wire.RcodeRefused)
}

// heard tells the server's record of an answer. One over TCP says nothing of
// how fast the next datagram is answered.
func (f *flight) heard(now time.Time) {
	if f.stream != nil {
		f.server.alive()
	} else {
		f.server.answered(now.Sub(f.sent))
	}
}

// useless ends the try with a server that answered, but said no. Name servers
// say so of a whole zone, so that others are asked before it from now on; what
// a resolver refuses says nothing of its other answers.
func (f *flight) useless(now time.Time, err error) verdict {
	if f.by.zone != nil {
		f.server.lame(f.by.opts.Timeout)
	}
	return f.reject(now, err)
}

// rcode decides by the response code of a whole and proper answer.
func (f *flight) rcode(pkt []byte, q Question, r wire.Response, now time.Time) verdict {
	switch r.Rcode {
	case wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeBadVers:
		if f.edns {
			return f.withoutEDNS(now)
		}
		return f.reject(now, ErrServfail)
	case wire.RcodeRefused:
		return f.useless(now, ErrRefused)
	case wire.RcodeSuccess, wire.RcodeNXDomain:
	default:
		return f.useless(now, ErrServfail)
	}
	if f.noEDNS {
		f.server.plainDNS.begin(now)
	}
	if f.by.zone != nil && (r.Referral || q.Type == wire.TypeNS) {
		if d, ok := wire.ParseDelegation(pkt, q, f.by.zone); ok {
			f.out.delegation = &d
		}
	}
	if f.out.delegation == nil && (r.Referral || f.by.zone != nil && withoutAuthority(pkt, r)) {
		return f.useless(now, ErrServfail)
	}
	if f.by.refusal != nil {
		if err := f.by.refuses(f.server, q, r.Records, now); err != nil {
			return f.reject(now, err)
		}
	}
	f.end(now, nil)
	return landed
}

// withoutAuthority reports whether who should have authority over a zone does
// not: it answers from a cache, as resolvers do (RA and no AA), or says nothing
// at all. Some lists' servers forget AA; that alone is no fault.
func withoutAuthority(pkt []byte, r wire.Response) bool {
	if r.Authoritative {
		return false
	}
	recursive := pkt[3]&0x80 != 0
	empty := r.Rcode == wire.RcodeSuccess && len(r.Records) == 0 && r.SOA == nil
	return recursive || empty
}

// withoutEDNS repeats the question without EDNS: RFC 6891, section 7. That is
// remembered of the server once it does answer then.
func (f *flight) withoutEDNS(now time.Time) verdict {
	f.pool.Stats.PlainDNS.Add(1)
	f.edns, f.noEDNS = false, true
	return f.try(now)
}

// otherQuestion decides about an answer under the right ID whose question is
// not the one sent. If it differs in case alone the server may be one that
// changes it: the question is repeated in lower case, under another ID.
func (f *flight) otherQuestion(pkt []byte, now time.Time) verdict {
	if !f.repeats(pkt) {
		return dropped
	}
	f.pool.Stats.PlainCase.Add(1)
	f.server.keepsCase(false, now)
	f.plain = true
	return f.try(now)
}

// judgeRelay decides about the answer to a packet that is passed on. It is
// passed back as it is, unless the server failed and others are left.
func (f *flight) judgeRelay(pkt []byte, now time.Time) verdict {
	if pkt[2]&0x80 == 0 || pkt[2]&0x78 != f.query[2]&0x78 || !bare(pkt) && !f.repeats(pkt) {
		return dropped
	}
	f.heard(now)
	f.kept = append([]byte(nil), pkt...)
	copy(f.kept, f.relay[:])
	if rcode := pkt[3] & 0x0f; rcode == wire.RcodeRefused || rcode == wire.RcodeServFail {
		return f.reject(now, ErrServfail)
	}
	f.end(now, nil)
	return landed
}
