package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// appendNameSlow is the definition of appendName, label by label.
func appendNameSlow(pkt []byte, off int) (name []byte, next int, ok bool) {
	part := off
	for jumps := 0; off < len(pkt); {
		l := int(pkt[off])
		switch {
		case l >= 0xc0:
			if off+2 > len(pkt) || jumps == maxJumps {
				return nil, 0, false
			}
			to := int(binary.BigEndian.Uint16(pkt[off:]) & 0x3fff)
			if to >= part || to < HeaderLen {
				return nil, 0, false
			}
			if jumps == 0 {
				next = off + 2
			}
			jumps++
			off, part = to, to
		case l > MaxLabel || off+1+l > len(pkt) || len(name)+1+l > MaxName:
			return nil, 0, false
		default:
			name = append(name, pkt[off:off+1+l]...)
			off += 1 + l
			if l == 0 {
				if jumps == 0 {
					next = off
				}
				return name, next, true
			}
		}
	}
	return nil, 0, false
}

// FuzzAppendName compares appendName with its definition at every offset of
// arbitrary bytes behind a header, and under with Name.Under's definition over
// the names written out.
func FuzzAppendName(f *testing.F) {
	label := func(n int) string { return string(rune(n)) + strings.Repeat("x", n) }
	f.Add([]byte("\x03Zen\x03org\x00\xc0\x0c\x01a\xc0\x10\xc0\x13"))
	f.Add([]byte("\x03zen\x03org\x00\xc0\x10\xc0\x0d\xc0\x14\xc0\x15\x00\xc0\x0b\xff\xff\xc0"))
	f.Add([]byte(label(63) + label(63) + label(63) + label(61) + "\x00\x00"))
	f.Add([]byte(label(63) + label(63) + label(63) + label(62) + "\x00\x00"))
	f.Add([]byte("\x00\xc0\x0c" + label(63) + label(63) + label(63) + label(60) + "\xc0\x0d"))
	chain := "\x01a\x00"
	for i := range maxJumps + 1 {
		to := HeaderLen + 3 + 2*(i-1)
		chain += string([]byte{0xc0, byte(max(to, HeaderLen))})
	}
	f.Add([]byte(chain))
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[:min(len(raw), 1000)] // every offset is tried
		pkt := append(make([]byte, HeaderLen), raw...)
		for off := HeaderLen; off < len(pkt); off++ {
			want, wantNext, wantOK := appendNameSlow(pkt, off)
			got, next, ok := appendName([]byte("before"), pkt, off)
			if ok != wantOK || ok && (next != wantNext || string(got) != "before"+string(want)) {
				t.Fatalf("appendName(%x, %d) = %x, %d, %t, want %x, %d, %t", pkt, off, got, next, ok, want, wantNext, wantOK)
			}
		}
		end, ok := passName(pkt, HeaderLen)
		if !ok || !Name(pkt[HeaderLen:end]).Valid() {
			return
		}
		c := chain0(pkt[HeaderLen:end])
		for off := end; off < len(pkt); off++ {
			if _, ok := passName(pkt, off); !ok {
				continue // readRecord refuses it
			}
			zone, _, wantOK := appendNameSlow(pkt, off)
			Name(zone).Lower()
			want := wantOK && underSlow(c.name, zone)
			if got, ok := c.under(pkt, off); got != want || ok != wantOK {
				t.Fatalf("under(%x, %d) = %t, %t, want %t, %t", pkt, off, got, ok, want, wantOK)
			}
		}
	})
}

// chain0 is the chain of a question without aliases.
func chain0(question Name) chain {
	name := slices.Clone(question)
	name.Lower()
	return chain{name: name}
}

// underSlow is the definition of Name.Under.
func underSlow(n, zone Name) bool {
	for ; len(n) > 1; n = n.Parent() {
		if bytes.Equal(n, zone) {
			return true
		}
	}
	return bytes.Equal(n, zone)
}

// An answer's SOA is known for the zone's whatever way its owner is written,
// and for another's when its octets only look like the zone's.
func TestParseResponse_owners(t *testing.T) {
	const question = "q.bl.example."
	pkt := answer(t, question, dns.TypeA, dns.RcodeNameError, nil, []string{"example. 60 SOA a. b. 7 3600 600 86400 150"})
	qend := HeaderLen + len(question) + 1 + 4
	head, rest := pkt[:qend], pkt[qend+2:] // behind a pointer
	for owner, want := range map[string]string{
		"\xc0\x0c":                 "rcode=3 soa ttl=60",
		"\xc0\x0e":                 "rcode=3 soa ttl=60",
		"\xc0\x11":                 "rcode=3 soa ttl=60",
		"\xc0\x19":                 "rcode=3 soa ttl=60", // the root
		"\x00":                     "rcode=3 soa ttl=60",
		"\x02bL\xc0\x11":           "rcode=3 soa ttl=60",
		"\x02bl\x07examPLE\x00":    "rcode=3 soa ttl=60",
		"\x02xl\x07example\x00":    "rcode=3 ttl=0",
		"\x01x\x01q\xc0\x0e":       "rcode=3 ttl=0",
		"\xc0\x0d":                 ErrMalformed.Error(), // inside a label
		"\xc0\x1a":                 "rcode=3 soa ttl=60", // the zero of the type
		"\xc0\x1e":                 ErrMalformed.Error(), // itself
		"\xc0\x04":                 ErrMalformed.Error(), // the header
		"\x02bl\x07examp\xc0\x11e": ErrMalformed.Error(),
	} {
		r, err := ParseResponse(slices.Concat(head, []byte(owner), rest), Question{mustName(t, question), dns.TypeA}, nil)
		if got := describe(r, err); got != want {
			t.Errorf("owner %x: %s, want %s", owner, got, want)
		}
	}
}
