package wire

import "encoding/binary"

// Section of a message that a record stands in.
type Section uint8

const (
	Answer Section = iota
	Authority
)

// Reply writes one answer to q into a buffer. The question is repeated octet
// by octet as it came, so that its case is kept. All records of an answer
// have one TTL: a DNSBL answer is a single RRset, or a lone SOA.
//
// Begin, then Record any number of times, then Finish.
type Reply struct {
	buf  []byte // the message from its header on; the caller's buffer
	q    *Head
	room int // octets the message may have in all
	cut  bool
}

// Begin starts an answer in buf, which is overwritten from its start. room is
// the most octets the message may have; tell 65535 for TCP.
func Begin(buf, pkt []byte, q *Head, rcode uint16, room int) Reply {
	buf = append(buf[:0], pkt[:q.End]...)
	head := buf[:HeaderLen]
	// RA is set, AA and AD are not: this is a resolver's answer, not an
	// authority's, and nothing was validated.
	flags := flagQR | flagRA | q.flags&(opcodeMask|flagRD|flagCD) | rcode&0xf
	binary.BigEndian.PutUint16(head[2:], flags)
	questions := uint16(1)
	if q.End == HeaderLen {
		questions = 0
	}
	binary.BigEndian.PutUint16(head[4:], questions)
	clear(head[6:])
	if q.EDNS {
		room -= optLen
	}
	return Reply{buf: buf, q: q, room: room}
}

// Record adds one record with uncompressed RDATA. cut is how many octets of
// the question's name stand left of the record's owner: 0 for the name asked
// about, or the length of the labels left of the zone for the zone's apex.
func (r *Reply) Record(s Section, cut int, typ uint16, ttl uint32, rdata ...string) {
	n := 0
	for _, part := range rdata {
		n += len(part)
	}
	if r.cut || len(r.buf)+12+n > r.room || n > 0xffff {
		r.cut = true
		return
	}
	owner := 0xc000 | uint16(HeaderLen+cut)
	buf := append(r.buf, byte(owner>>8), byte(owner), byte(typ>>8), byte(typ), 0, ClassIN,
		byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(n>>8), byte(n))
	for _, part := range rdata {
		buf = append(buf, part...)
	}
	count := buf[6+2*int(s):]
	binary.BigEndian.PutUint16(count, binary.BigEndian.Uint16(count)+1)
	r.buf = buf
}

// SetTruncated sets the TC bit of a message: all of it is to be had over TCP.
func SetTruncated(msg []byte) { msg[2] |= flagTC >> 8 }

// optLen is the length of an OPT record without options. RFC 6891, section
// 6.1.2.
const optLen = 11

// Finish adds the OPT record if the sender used EDNS and returns the message.
// Records that did not fit have turned it into an empty one with TC set. ede
// is the info-code of RFC 8914, section 4, with reason, parts that make its
// text; 0 says that there is none. The reason is left out where it does not
// fit.
func (r *Reply) Finish(rcode uint16, ede uint16, reason ...string) []byte {
	if r.cut {
		r.buf = r.buf[:r.q.End]
		clear(r.buf[6:HeaderLen])
		SetTruncated(r.buf)
	}
	if !r.q.EDNS {
		return r.buf
	}
	n := 0
	for _, part := range reason {
		n += len(part)
	}
	rdlen := 0
	if ede != 0 && len(r.buf)+6+n <= r.room {
		rdlen = 6 + n
	}
	do := byte(0)
	if r.q.do {
		do = 0x80
	}
	r.buf = append(r.buf, 0, 0, TypeOPT, MaxUDP>>8, MaxUDP&0xff,
		byte(rcode>>4), 0, do, 0, byte(rdlen>>8), byte(rdlen))
	if rdlen > 0 {
		// Option 15 is EDE. RFC 8914, section 2.
		r.buf = append(r.buf, 0, 15, byte((2+n)>>8), byte(2+n), byte(ede>>8), byte(ede))
		for _, part := range reason {
			r.buf = append(r.buf, part...)
		}
	}
	binary.BigEndian.PutUint16(r.buf[10:], 1)
	return r.buf
}
