package wire

import (
	"encoding/binary"
	"errors"
)

// Errors of ParseResponse. The first two say that the message is no answer to
// the question at all and may be a forgery: who waits goes on waiting. The
// third is a proper message whose content no one can use.
var (
	ErrMalformed = errors.New("malformed message")
	ErrMismatch  = errors.New("message does not answer the question")
	ErrLoop      = errors.New("chain of aliases is too long or loops")
)

// maxAliases bounds the CNAMEs followed inside one message; resolvers stop
// between 8 and 17.
const maxAliases = 16

// Response is one validated answer, cut down to what was asked. It shares no
// memory with the message it was parsed from.
type Response struct {
	// Rcode is the response code. Extended codes of EDNS up to 254 are whole,
	// larger ones are 255: they are errors to everybody here.
	Rcode uint8

	// Truncated is the TC bit. When it is set the rest of the message was not
	// looked at.
	Truncated bool

	// Authoritative is the AA bit.
	Authoritative bool

	// Referral says that the server does not answer but names others: no
	// records, no SOA, but name servers in the authority section.
	Referral bool

	// TTL is in seconds, below 1<<31: the least TTL of the kept records and
	// of the aliases followed; for a negative answer also the lesser of the
	// SOA's TTL and its MINIMUM (RFC 2308, section 5), and 0 without a SOA.
	TTL uint32

	// Records is the RDATA, names in it uncompressed, of the records of the
	// asked type at the end of the chain of aliases inside the message. It is
	// empty unless Rcode is NOERROR.
	Records [][]byte

	// SOA is the uncompressed RDATA of the SOA record of a zone that the (last)
	// name is in, from the authority section; nil without.
	SOA []byte
}

// ParseResponse validates pkt as an answer to q and keeps what was asked for:
// records of other owners and types are dropped, wherever they stand. q's name
// is in lower case, and the message may repeat it in any; who wants it byte for
// byte compares before. The server may have authority over zone only: aliases
// that lead out of it are not followed; a nil zone sets no bound. Errors are
// ErrMalformed, ErrMismatch and ErrLoop.
func ParseResponse(pkt []byte, q Question, zone Name) (r Response, err error) {
	end, err := checkQuestion(pkt, q)
	if err != nil {
		return r, err
	}
	r.Rcode = pkt[3] & 0x0f
	r.Truncated = pkt[2]&0x02 != 0
	r.Authoritative = pkt[2]&0x04 != 0
	if r.Truncated {
		return r, nil
	}
	var s sections
	if !s.survey(pkt, end, q.Type) {
		return Response{}, ErrMalformed
	}
	if s.extended != 0 {
		r.Rcode = uint8(min(int(s.extended)<<4|int(r.Rcode), 255))
	}
	c := chain{name: q.Name, ttl: 1<<31 - 1}
	if s.aliases && q.Type != TypeCNAME {
		var store [MaxName]byte
		if c, err = followAliases(pkt, &s, c, zone, store[:0]); err != nil {
			return Response{}, err
		}
	}
	r.TTL = c.ttl
	if r.Rcode == RcodeSuccess && !c.outside && s.matches > 0 {
		if !r.collect(pkt, &s, q.Type, &c) {
			return Response{}, ErrMalformed
		}
	}
	if len(r.Records) == 0 {
		r.TTL = 0
		if !r.negative(pkt, &s, &c) {
			return Response{}, ErrMalformed
		}
		r.Referral = r.Rcode == RcodeSuccess && r.SOA == nil && s.authorityNS && !c.aliased
	}
	return r, nil
}

// checkQuestion compares header and question and returns where the question
// ends.
func checkQuestion(pkt []byte, q Question) (end int, err error) {
	if len(pkt) < HeaderLen {
		return 0, ErrMalformed
	}
	// QR set, opcode QUERY, one question.
	if pkt[2]&0xf8 != 0x80 || binary.BigEndian.Uint16(pkt[4:]) != 1 {
		return 0, ErrMismatch
	}
	end = HeaderLen + len(q.Name) + 4
	if len(pkt) < end {
		return 0, ErrMismatch
	}
	asked := pkt[end-4 : end]
	if !Name(pkt[HeaderLen:end-4]).Equal(q.Name) ||
		binary.BigEndian.Uint16(asked) != q.Type || binary.BigEndian.Uint16(asked[2:]) != ClassIN {
		return 0, ErrMismatch
	}
	return end, nil
}

// sections is what one walk over the message finds.
type sections struct {
	answer, answers int  // offset and number of the answer section's records
	matches         int  // records of the asked type in it, whatever their owner
	size            int  // octets of their RDATA
	aliases         bool // it has a CNAME
	authority       int  // offset of the authority section
	authorities     int
	additional      int // offset of the additional section
	additionals     int
	authorityNS     bool
	authoritySOA    bool
	extended        uint8 // upper bits of an extended response code: RFC 6891, section 6.1.3
}

// survey walks over every record once. It returns false when a record does not
// fit in the message or fewer records are there than the header says.
func (s *sections) survey(pkt []byte, off int, qtype uint16) bool {
	head := pkt[:HeaderLen]
	s.answers = int(binary.BigEndian.Uint16(head[6:]))
	s.authorities = int(binary.BigEndian.Uint16(head[8:]))
	s.additionals = int(binary.BigEndian.Uint16(head[10:]))
	s.answer = off
	for range s.answers {
		r, ok := readRecord(pkt, off)
		if !ok {
			return false
		}
		off = r.end
		if r.typ == qtype {
			s.matches++
			s.size += r.end - r.data
		} else if r.typ == TypeCNAME {
			s.aliases = true
		}
	}
	s.authority = off
	for range s.authorities {
		r, ok := readRecord(pkt, off)
		if !ok {
			return false
		}
		off = r.end
		s.authorityNS = s.authorityNS || r.typ == TypeNS
		s.authoritySOA = s.authoritySOA || r.typ == TypeSOA
	}
	s.additional = off
	for range s.additionals {
		r, ok := readRecord(pkt, off)
		if !ok {
			return false
		}
		off = r.end
		if r.typ == TypeOPT && pkt[r.owner] == 0 {
			s.extended = pkt[r.data-6]
		}
	}
	return true
}

// chain is where the aliases of a message lead.
type chain struct {
	name    Name   // the last name, lower case
	ttl     uint32 // least TTL of the aliases followed
	aliased bool
	outside bool // the last name is outside the server's zone
}

// followAliases follows the CNAMEs from the question's name, in whatever order
// they stand in the answer section. The names they lead to are kept in store.
func followAliases(pkt []byte, s *sections, c chain, zone Name, store []byte) (chain, error) {
	for hops := 0; ; hops++ {
		r, found, ok := findOwned(pkt, s.answer, s.answers, TypeCNAME, c.name)
		if !ok {
			return c, ErrMalformed
		}
		if !found {
			return c, nil
		}
		if hops == maxAliases {
			return c, ErrLoop
		}
		to, end, ok := appendName(store, pkt, r.data)
		if !ok || end != r.end {
			return c, ErrMalformed
		}
		c.name, c.aliased = to, true
		c.name.Lower()
		c.ttl = min(c.ttl, r.ttl)
		if zone != nil && !c.name.Under(zone) {
			c.outside = true
			return c, nil
		}
	}
}

// findOwned returns the first record of class IN, the type and the owner
// (lower case) among n records at off. ok is false when an owner is no name.
func findOwned(pkt []byte, off, n int, typ uint16, owner Name) (r record, found, ok bool) {
	for r := range records(pkt, off, n) {
		if r.typ != typ || r.class != ClassIN {
			continue
		}
		if found, ok := owns(pkt, r.owner, owner); found || !ok {
			return r, found, ok
		}
	}
	return r, false, true
}

// owns reports whether the name at off is owner, case aside. ok is false when
// it is no name.
func owns(pkt []byte, off int, owner Name) (same, ok bool) {
	var store [MaxName]byte
	name, _, ok := appendName(store[:0], pkt, off)
	return ok && Name(name).Equal(owner), ok
}

// collect copies the RDATA of the matching records at the end of the chain.
func (r *Response) collect(pkt []byte, s *sections, qtype uint16, c *chain) bool {
	var data []byte
	for rec := range records(pkt, s.answer, s.answers) {
		if rec.typ != qtype || rec.class != ClassIN {
			continue
		}
		// Nearly always the owner is a pointer to the question.
		if c.aliased || pkt[rec.owner] != 0xc0 || pkt[rec.owner+1] != HeaderLen {
			// An owner that cannot be read spoils the message: taken for another
			// name, it would turn a listing into "not listed".
			if same, ok := owns(pkt, rec.owner, c.name); !ok {
				return false
			} else if !same {
				continue
			}
		}
		if data == nil {
			data = make([]byte, 0, s.size)
			r.Records = make([][]byte, 0, s.matches)
		}
		start := len(data)
		var ok bool
		if data, ok = appendRData(data, pkt, rec); !ok {
			return false
		}
		r.Records = append(r.Records, data[start:len(data):len(data)])
		r.TTL = min(r.TTL, rec.ttl)
	}
	return true
}

// negative fills in the SOA of an answer without records.
func (r *Response) negative(pkt []byte, s *sections, c *chain) bool {
	if !s.authoritySOA || r.Rcode != RcodeSuccess && r.Rcode != RcodeNXDomain {
		return true
	}
	for rec := range records(pkt, s.authority, s.authorities) {
		if rec.typ != TypeSOA || rec.class != ClassIN {
			continue
		}
		if under, ok := c.under(pkt, rec.owner); !ok {
			return false
		} else if !under {
			continue
		}
		var store [2*MaxName + 20]byte // holds the longest RDATA
		soa, ok := appendRData(store[:0], pkt, rec)
		if !ok {
			return false
		}
		r.SOA = make([]byte, len(soa))
		copy(r.SOA, soa)
		r.TTL = min(c.ttl, rec.ttl, binary.BigEndian.Uint32(r.SOA[len(r.SOA)-4:]))
		return true
	}
	return true
}

// under reports whether the chain ends at or below the owner of a record, at
// off. ok is false when that is no name.
func (c *chain) under(pkt []byte, off int) (under, ok bool) {
	// Nearly always it is a pointer to a label of the question's name.
	if !c.aliased && pkt[off] == 0xc0 && c.name.border(int(pkt[off+1])-HeaderLen) {
		return true, true
	}
	var store [MaxName]byte
	zone, _, ok := appendName(store[:0], pkt, off)
	Name(zone).Lower()
	return ok && c.name.Under(zone), ok
}
