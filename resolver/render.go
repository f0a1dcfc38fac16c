package resolver

import (
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// render writes the answer that d decided.
func render(buf []byte, head *wire.Head, q *question, d *decision, pkt []byte, room int) []byte {
	rcode := d.rcode()
	rep := wire.Begin(buf, pkt, head, rcode, room)
	switch d.form {
	case formData:
		renderListing(&rep, q, d)
	case formWhole:
		for rec := range d.data.records {
			rep.Record(wire.Answer, 0, rec.typ, d.ttl, rec.rdata)
		}
	case formAny:
		renderAny(&rep, d.ttl)
	case formOwn:
		renderOwn(&rep, q, d)
	case formNXDomain, formNoData:
		renderNegative(&rep, q, d)
	}
	switch { // the extended error, RFC 8914
	case d.ede == 0:
		return rep.Finish(rcode, 0)
	case d.verdict == Exempt:
		return rep.Finish(rcode, edeFiltered, "exempt: ", d.hit.Rule.Name, " (", d.hit.Source.String(), ")")
	}
	return rep.Finish(rcode, d.ede, d.reason)
}

func (d *decision) rcode() uint16 {
	switch d.form {
	case formNXDomain:
		return wire.RcodeNXDomain
	case formWhole:
		return d.data.rcode()
	case formServFail:
		return wire.RcodeServFail
	}
	return wire.RcodeSuccess
}

// renderListing writes what remains of a list's A records.
func renderListing(rep *wire.Reply, q *question, d *decision) {
	for rec := range d.data.records {
		code, ok := rec.code()
		if ok && q.zone.remains(code, d.exempt) {
			rep.Record(wire.Answer, 0, wire.TypeA, d.ttl, rec.rdata)
		}
	}
}

// renderOwn writes a listing that is ours.
func renderOwn(rep *wire.Reply, q *question, d *decision) {
	switch q.typ {
	case wire.TypeA:
		b := [4]byte{byte(d.code >> 24), byte(d.code >> 16), byte(d.code >> 8), byte(d.code)}
		rep.Record(wire.Answer, 0, wire.TypeA, d.ttl, string(b[:]))
	case wire.TypeTXT:
		rep.Record(wire.Answer, 0, wire.TypeTXT, d.ttl, txt(d.text))
	case wire.TypeANY:
		renderAny(rep, d.ttl)
	default:
		renderNegative(rep, q, d)
	}
}

// renderAny answers a question of type ANY in brief. RFC 8482, section 4.2.
func renderAny(rep *wire.Reply, ttl uint32) {
	rep.Record(wire.Answer, 0, wire.TypeHINFO, ttl, "\x07RFC8482\x00")
}

// renderNegative adds the SOA without which nobody may cache that there is
// nothing. RFC 2308, section 3. At the apex of a zone of ours the SOA and the
// NS are answers.
func renderNegative(rep *wire.Reply, q *question, d *decision) {
	ours := d.data == "" || q.zone.Source == SourceFile && !hasSOA(d.data)
	if q.subject.Shape == rbl.Apex && ours {
		switch q.typ {
		case wire.TypeSOA, wire.TypeANY:
			rep.Record(wire.Answer, 0, wire.TypeSOA, d.ttl, ownMName, ownRName, string(q.zone.apex), ownTimers)
			return
		case wire.TypeNS:
			rep.Record(wire.Answer, 0, wire.TypeNS, d.ttl, ownMName)
			return
		}
	}
	if d.kept || d.verdict == Exempt || !hasSOA(d.data) {
		rep.Record(wire.Authority, len(q.labels), wire.TypeSOA, d.ttl, ownMName, ownRName, string(q.zone.apex), ownTimers)
		return
	}
	// The SOA is all that a negative answer holds.
	rep.Record(wire.Authority, len(q.labels), wire.TypeSOA, d.ttl, string(d.data[1+packedHead:]))
}

func hasSOA(data packed) bool {
	return len(data) > packedHead && wire.Section(data[1]) == wire.Authority
}

// The SOA of answers that no list gave: MNAME localhost., RNAME
// hostmaster.ZONE, and the timers of RFC 1912, section 2.2, with a MINIMUM of
// 60 s (ownTTL). The serial says nothing, since nobody transfers the zone.
const (
	ownMName  = "\x09localhost\x00"
	ownRName  = "\x0ahostmaster"
	ownTimers = "\x00\x00\x00\x01" + // SERIAL 1
		"\x00\x00\x0e\x10" + // REFRESH 3600
		"\x00\x00\x02\x58" + // RETRY 600
		"\x00\x09\x3a\x80" + // EXPIRE 604800
		"\x00\x00\x00\x3c" // MINIMUM 60
)
