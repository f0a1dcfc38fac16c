package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"dnsblproxy/resolver/rbl"
)

// Question types that have a meaning of their own here (RFC 1035, section
// 3.2.2); of any other type a name has no records.
const (
	TypeA   uint16 = 1
	TypeNS  uint16 = 2
	TypeSOA uint16 = 6
	TypeMX  uint16 = 15
	TypeTXT uint16 = 16
)

// Response codes of Lookup (RFC 1035, section 4.1.1).
const (
	NoError  uint8 = 0
	NXDomain uint8 = 3
	Refused  uint8 = 5
)

// Answer is what a zone says. Lookup resets it and keeps its memory, so that
// one Answer can be used again and again; no two goroutines may share one.
type Answer struct {
	Rcode uint8  // NoError, NXDomain or Refused
	TTL   uint32 // of each record, in seconds; 0 without records

	Codes []uint32 // A: 127.0.0.2 is 0x7f000002
	Texts []string // TXT: one string of at most 255 bytes each
	Data  [][]byte // SOA, NS, MX: uncompressed RDATA, not to be written to
}

func (a *Answer) reset() {
	a.Rcode, a.TTL = NoError, 0
	a.Codes, a.Texts, a.Data = a.Codes[:0], a.Texts[:0], a.Data[:0]
}

// Len is the number of records.
func (a *Answer) Len() int { return len(a.Codes) + len(a.Texts) + len(a.Data) }

// AppendRData appends the RDATA of record i.
func (a *Answer) AppendRData(dst []byte, i int) []byte {
	if i < len(a.Codes) {
		c := a.Codes[i]
		return append(dst, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
	}
	if i -= len(a.Codes); i < len(a.Texts) {
		return append(append(dst, byte(len(a.Texts[i]))), a.Texts[i]...)
	}
	return append(dst, a.Data[i-len(a.Texts)]...)
}

// took notes the TTL of a record, new or repeated: records of one type share
// the least one (RFC 2181, section 5.2).
func (a *Answer) took(ttl uint32) {
	if a.TTL == 0 || ttl < a.TTL {
		a.TTL = ttl
	}
}

func (a *Answer) addCode(code, ttl uint32) {
	a.took(ttl)
	if !slices.Contains(a.Codes, code) {
		a.Codes = append(a.Codes, code)
	}
}

func (a *Answer) addText(text string, ttl uint32) {
	a.took(ttl)
	if !slices.Contains(a.Texts, text) {
		a.Texts = append(a.Texts, text)
	}
}

func (a *Answer) addData(data []byte, ttl uint32) {
	a.took(ttl)
	if !slices.ContainsFunc(a.Data, func(d []byte) bool { return bytes.Equal(d, data) }) {
		a.Data = append(a.Data, data)
	}
}

// set is one dataset, loaded; immutable. Which table is there depends on its
// kind.
type set struct {
	ttl     uint32
	vars    variables
	values  values
	ip4     *table4
	ip6     *table6
	names   *nameTable
	generic map[string][]rr // by the labels, "" is the zone itself
	entries int
}

// Zone is the data of one zone; immutable, for any number of goroutines.
type Zone struct {
	sets     []*set
	has4     bool // some dataset is of IPv4
	soa      *soa
	ns       [][]byte // RDATA
	nsTTL    uint32
	expires  time.Time // when the data ceases to be good ($TIMESTAMP); zero: never
	modified time.Time // of the file that changed last
}

// SOA returns the RDATA of the zone's start of authority, not to be written to,
// and the TTL of a negative answer; nil when the data has none.
func (z *Zone) SOA() (rdata []byte, ttl uint32) {
	if z.soa == nil {
		return nil, 0
	}
	return z.soa.data, min(z.soa.ttl, z.soa.minimum())
}

// expired returns an error once the data's own end has come ($TIMESTAMP).
func (z *Zone) expired(now time.Time) error {
	if z.expires.IsZero() || !now.After(z.expires) {
		return nil
	}
	return fmt.Errorf("%w on %s", ErrExpired, z.expires.Format(time.DateTime))
}

// Entries is the number of entries read, exclusions included.
func (z *Zone) Entries() int {
	n := 0
	for _, s := range z.sets {
		n += s.entries
	}
	return n
}

// Size is the memory that the tables hold, in bytes, near enough.
func (z *Zone) Size() int {
	n := 0
	for _, s := range z.sets {
		n += s.size()
	}
	return n
}

func (s *set) size() int {
	n := s.values.size()
	if s.ip4 != nil {
		n += s.ip4.size()
	}
	if s.ip6 != nil {
		n += s.ip6.size()
	}
	if s.names != nil {
		n += s.names.size()
	}
	for name, rrs := range s.generic {
		n += len(name) + 48
		for _, r := range rrs {
			n += 48 + cap(r.data)
		}
	}
	return n
}

// question is a name taken apart once for all datasets of the zone.
type question struct {
	labels []byte
	n      int // number of labels
	a4     uint32
	a6     addr6
	is4    bool
	is6    bool
	qtype  uint16
}

func (z *Zone) question(s rbl.Subject, labels []byte, qtype uint16) (q question, ok bool) {
	q.labels, q.qtype = labels, qtype
	switch s.Shape {
	case rbl.IP4:
		a := s.Addr.As4()
		q.n, q.a4, q.is4 = 4, binary.BigEndian.Uint32(a[:]), true
	case rbl.IP6:
		a := s.Addr.As16()
		q.n, q.is6 = 32, true
		q.a6 = addr6{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])}
		if z.has4 {
			var mapped bool
			q.a4, mapped, q.is4 = q.a6.embedded4()
			q.is6 = !mapped
		}
	default:
		q.n, ok = countLabels(labels)
		return q, ok
	}
	return q, true
}

// Lookup answers for the name that has these labels left of the zone, in wire
// form without the root, lower case, which rbl.ParseLabels has read as s; no
// labels ask for the zone itself. A
// question about an IPv4-mapped address, or one of 6to4, is answered from the
// IPv4 datasets, if there are any. A name that exists without a record of the
// type is NoError and empty. As rbldnsd does, the SOA or NS of a zone that has
// none is Refused. An A question about an address allocates nothing once ans
// has grown.
func (z *Zone) Lookup(s rbl.Subject, labels []byte, qtype uint16, ans *Answer) {
	ans.reset()
	q, ok := z.question(s, labels, qtype)
	if !ok {
		ans.Rcode = NXDomain
		return
	}
	found := q.n == 0
	if found && !z.apex(qtype, ans) {
		ans.Rcode = Refused
		return
	}
	for _, s := range z.sets {
		if s.lookup(&q, ans) {
			found = true
		}
	}
	if !found {
		ans.Rcode = NXDomain
	}
}

// apex answers SOA and NS questions about the zone itself.
func (z *Zone) apex(qtype uint16, ans *Answer) bool {
	switch qtype {
	case TypeSOA:
		if z.soa == nil {
			return false
		}
		ans.addData(z.soa.data, z.soa.ttl)
	case TypeNS:
		if len(z.ns) == 0 {
			return false
		}
		for _, data := range z.ns {
			ans.addData(data, z.nsTTL)
		}
	}
	return true
}

// lookup adds what one dataset knows, and reports whether it has the name.
func (s *set) lookup(q *question, ans *Answer) bool {
	var val value
	var entry []byte // the dnset entry's name
	switch {
	case s.ip4 != nil && q.is4:
		val = s.ip4.find(q.a4)
	case s.ip6 != nil && q.is6:
		val = s.ip6.find(q.a6)
	case s.names != nil && q.n > 0:
		val, entry = s.names.find(q.labels, q.n)
	case s.generic != nil:
		return s.lookupGeneric(q, ans)
	}
	if val <= excluded {
		return false
	}
	if q.qtype != TypeA && q.qtype != TypeTXT {
		return true
	}
	subject := ""
	if q.qtype == TypeTXT {
		subject = s.subject(q, entry)
	}
	if rec, ok := s.values.single(val); ok {
		s.addRecord(rec, subject, q.qtype, ans)
		return true
	}
	for _, rec := range s.values.set(val) {
		s.addRecord(rec, subject, q.qtype, ans)
	}
	return true
}

// subject is what stands for $ in a text.
func (s *set) subject(q *question, entry []byte) string {
	switch {
	case s.ip4 != nil:
		return text4(q.a4)
	case s.ip6 != nil:
		return text6(q.a6)
	}
	return nameText(entry)
}

func (s *set) addRecord(rec uint32, subject string, qtype uint16, ans *Answer) {
	if qtype == TypeA {
		ans.addCode(s.values.code(rec), s.ttl)
	} else if text := s.vars.expand(s.values.template(rec), subject); text != "" {
		ans.addText(text, s.ttl)
	}
}

func (s *set) lookupGeneric(q *question, ans *Answer) bool {
	rrs, ok := s.generic[string(q.labels)]
	for i := range rrs {
		switch r := &rrs[i]; {
		case r.qtype != q.qtype:
		case r.qtype == TypeA:
			ans.addCode(r.code, r.ttl)
		case r.qtype == TypeTXT:
			ans.addText(string(r.data), r.ttl)
		default:
			ans.addData(r.data, r.ttl)
		}
	}
	return ok
}
