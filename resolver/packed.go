package resolver

import (
	"bytes"
	"encoding/binary"
	"strings"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// packed is one answer of a list in the form in which the cache keeps it:
// immutable, without names that depend on who asked, so that equal answers
// are equal strings and share their memory. Octet 0 is the rcode; records
// follow as section, type (2 octets), length of the RDATA (2 octets), RDATA.
// There are no TTLs in it: all records of an answer have one, which the cache
// counts down. The empty string is no answer.
type packed string

// packedRecord is one record of a packed answer.
type packedRecord struct {
	section wire.Section
	typ     uint16
	rdata   string
}

const (
	packedHead = 5      // octets in front of each RDATA
	maxRData   = 0xffff // octets of one
)

// none is an answer without records, as it came and as it is kept.
type none struct {
	rcode  uint8
	soa    []byte
	packed packed
}

// pack keeps of a list's response what a question of type typ may be told,
// hiding what is to be hidden. A negative answer keeps its SOA.
func (z *zone) pack(r *wire.Response, typ uint16) packed {
	if len(r.Records) == 0 {
		last := z.none.Load()
		if last == nil || last.rcode != r.Rcode || !bytes.Equal(last.soa, r.SOA) {
			b := []byte{r.Rcode}
			if len(r.SOA) > 0 {
				b = appendPacked(b, wire.Authority, wire.TypeSOA, z.hide.rdata(wire.TypeSOA, r.SOA))
			}
			last = &none{r.Rcode, bytes.Clone(r.SOA), packed(b)}
			z.none.Store(last)
		}
		return last.packed
	}
	b := append(make([]byte, 0, 64), r.Rcode) // on the stack, mostly
	for _, rdata := range r.Records {
		rdata = z.hide.rdata(typ, rdata)
		if rdata != nil && len(rdata) <= maxRData { // else it cannot be told
			b = appendPacked(b, wire.Answer, typ, rdata)
		}
	}
	return packed(b)
}

func appendPacked(b []byte, s wire.Section, typ uint16, rdata []byte) []byte {
	b = append(b, byte(s))
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	return append(b, rdata...)
}

// rcode is the response code: NOERROR or NXDOMAIN.
func (p packed) rcode() uint16 { return uint16(p[0]) }

// records yields the records in order.
func (p packed) records(yield func(packedRecord) bool) {
	for p = p[min(1, len(p)):]; len(p) >= packedHead; {
		n := int(p[3])<<8 | int(p[4])
		if packedHead+n > len(p) {
			return // only in what is not ours: see believable
		}
		rec := packedRecord{
			section: wire.Section(p[0]),
			typ:     uint16(p[1])<<8 | uint16(p[2]),
			rdata:   string(p[packedHead : packedHead+n]),
		}
		if !yield(rec) {
			return
		}
		p = p[packedHead+n:]
	}
}

// has reports whether there is a record in the answer section.
func (p packed) has() bool {
	return len(p) > packedHead && wire.Section(p[1]) == wire.Answer
}

// code is the address that an A record holds.
func (r packedRecord) code() (rbl.Code, bool) {
	if r.section != wire.Answer || r.typ != wire.TypeA || len(r.rdata) != 4 {
		return 0, false
	}
	return rbl.Code(r.rdata[0])<<24 | rbl.Code(r.rdata[1])<<16 | rbl.Code(r.rdata[2])<<8 | rbl.Code(r.rdata[3]), true
}

// text joins the strings of a TXT record (RFC 7208, section 3.3 does so for
// SPF, and people read a list's text likewise).
func (r packedRecord) text() string {
	if r.typ != wire.TypeTXT {
		return ""
	}
	var b strings.Builder
	for s := r.rdata; len(s) > 0 && len(s) > int(s[0]); s = s[1+int(s[0]):] {
		b.WriteString(s[1 : 1+int(s[0])])
	}
	return b.String()
}

// txt is the RDATA of a TXT record that holds text, in strings of at most 255
// octets (RFC 1035, section 3.3.14).
func txt(text string) string {
	var b strings.Builder
	for {
		n := min(len(text), 255)
		b.WriteByte(byte(n))
		b.WriteString(text[:n])
		text = text[n:]
		if text == "" {
			return b.String()
		}
	}
}
