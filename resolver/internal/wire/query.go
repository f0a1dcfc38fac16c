package wire

import "encoding/binary"

// Record types and classes that the proxy tells apart. RFC 1035, section 3.2.
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypePTR   = 12
	TypeHINFO = 13
	TypeMX    = 15
	TypeTXT   = 16
	TypeAAAA  = 28
	TypeOPT   = 41
	TypeDS    = 43
	TypeIXFR  = 251
	TypeAXFR  = 252
	TypeANY   = 255

	ClassIN = 1
)

// Response codes. RFC 1035, section 4.1.1; BADVERS is RFC 6891, section 6.1.3.
const (
	RcodeSuccess  = 0
	RcodeFormErr  = 1
	RcodeServFail = 2
	RcodeNXDomain = 3
	RcodeNotImp   = 4
	RcodeRefused  = 5
	RcodeBadVers  = 16
)

// Bits of the header's second 16-bit word. RFC 1035, section 4.1.1.
const (
	flagQR = 1 << 15
	flagTC = 1 << 9
	flagRD = 1 << 8
	flagRA = 1 << 7
	flagCD = 1 << 4

	opcodeMask = 0xf << 11
)

// HeaderLen is the length of a message's header, in octets.
const HeaderLen = 12

// MaxUDP is the largest UDP message that is sent and asked for, in octets:
// it passes every usual path without fragments. RFC 9715, section 3.2.
const MaxUDP = 1232

// MaxDatagram is the largest UDP message that is passed on, in octets: clients
// may ask for more than MaxUDP, and this is the most that software in use asks
// for. Of a larger one not all is read.
const MaxDatagram = 4096

// Fault is what is wrong with a packet that claims to be a query: the response
// code that its sender hears, or Drop.
type Fault uint16

const (
	OK      Fault = RcodeSuccess
	FormErr Fault = RcodeFormErr
	NotImp  Fault = RcodeNotImp  // an opcode other than QUERY
	BadVers Fault = RcodeBadVers // an EDNS version other than 0
	Drop    Fault = 0xffff       // no header, or an answer: nothing may be sent back
)

// Query is one question as it arrived. Its memory is reused from packet to
// packet by its one owner, and nothing in it points into the packet.
type Query struct {
	Head

	nameLen   int
	labels    int
	name      [MaxName]byte
	labelOffs [MaxName/2 + 1]uint8
}

// Head is all of a query but its name.
type Head struct {
	Type  uint16
	Class uint16

	// End is the offset just past the question in the packet; HeaderLen
	// when no question could be read.
	End int

	// UDPSize is how much the sender takes over UDP, in octets: what its
	// OPT record says, from 512 to MaxUDP, and 512 without one.
	UDPSize int
	// Takes is UDPSize with an upper bound of MaxDatagram, for answers that are
	// passed on as they came.
	Takes int
	EDNS  bool

	flags uint16
	do    bool
}

// Name is the name asked about, in lower case. It is overwritten by the next
// Parse.
func (q *Query) Name() Name { return q.name[:q.nameLen] }

// Labels is the number of labels, the root not counted.
func (q *Query) Labels() int { return q.labels }

// Suffix is the name that the last n labels make, at least one.
func (q *Query) Suffix(n int) Name {
	return q.name[q.labelOffs[q.labels-n]:q.nameLen]
}

// Parse reads the query in pkt. Whatever it returns, the fields that
// Begin needs are set as far as the packet could be read.
func (q *Query) Parse(pkt []byte) Fault {
	q.End, q.nameLen, q.labels = HeaderLen, 0, 0
	q.EDNS, q.do, q.UDPSize, q.Takes = false, false, 512, 512
	if len(pkt) < HeaderLen {
		return Drop
	}
	q.flags = binary.BigEndian.Uint16(pkt[2:])
	if q.flags&flagQR != 0 {
		return Drop
	}
	one := binary.BigEndian.Uint16(pkt[4:]) == 1
	one = one && q.question(pkt)
	switch {
	case q.flags&opcodeMask != 0:
		if one {
			q.additional(pkt) // an OPT is answered with one, whatever is asked
		}
		return NotImp
	case !one:
		return FormErr
	}
	return q.additional(pkt)
}

// question reads the one question. A compressed name in it has nothing to
// point at and is malformed.
func (q *Query) question(pkt []byte) bool {
	name := pkt[HeaderLen:min(len(pkt), HeaderLen+MaxName)]
	off, labels := 0, 0
	for {
		if off >= len(name) || name[off] > MaxLabel {
			return false
		}
		l := int(name[off])
		if l == 0 {
			break
		}
		q.labelOffs[labels] = uint8(off)
		labels++
		off += 1 + l
	}
	name = name[:off+1]
	end := HeaderLen + len(name) + 4
	if end > len(pkt) {
		return false
	}
	lowerTo(q.name[:], name)
	q.nameLen, q.labels, q.End = len(name), labels, end
	asked := pkt[end-4 : end]
	q.Type = binary.BigEndian.Uint16(asked)
	q.Class = binary.BigEndian.Uint16(asked[2:])
	return true
}

// additional finds the OPT record behind the question. RFC 6891, section
// 6.1.1: at most one, owned by the root.
func (q *Query) additional(pkt []byte) Fault {
	head := pkt[:HeaderLen]
	before := int(binary.BigEndian.Uint16(head[6:])) + int(binary.BigEndian.Uint16(head[8:]))
	count := before + int(binary.BigEndian.Uint16(head[10:]))
	version := byte(0)
	off := q.End
	for i := range count {
		owner := off
		var ok bool
		if off, ok = passName(pkt, off); !ok || off+10 > len(pkt) {
			return FormErr
		}
		typ := binary.BigEndian.Uint16(pkt[off:])
		next := off + 10 + int(binary.BigEndian.Uint16(pkt[off+8:]))
		if next > len(pkt) {
			return FormErr
		}
		if typ == TypeOPT {
			if q.EDNS || i < before || pkt[owner] != 0 {
				return FormErr
			}
			q.EDNS = true
			q.Takes = min(max(int(binary.BigEndian.Uint16(pkt[off+2:])), 512), MaxDatagram)
			q.UDPSize = min(q.Takes, MaxUDP)
			version = pkt[off+5]
			q.do = pkt[off+6]&0x80 != 0
		}
		off = next
	}
	if version != 0 {
		return BadVers
	}
	return OK
}
