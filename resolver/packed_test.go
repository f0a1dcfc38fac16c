package resolver

import (
	"encoding/binary"
	"strings"
	"testing"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// TestPack_leavesOut has nothing of a record that cannot be told: one without
// its data would be malformed.
func TestPack_leavesOut(t *testing.T) {
	name := strings.Repeat("long.", 40) + "test"
	from, _ := rbl.AppendName(nil, "k3y.test")
	to, _ := rbl.AppendName(nil, name)
	z := &zone{hide: newHider(&ZoneOptions{Name: name, Upstream: "k3y.test", Secrets: []string{"k3y"}}, from, to)}
	text := txt(strings.Repeat("k3y.test ", 7000)) // too long for a record with the zone's name
	for _, tt := range []struct {
		name   string
		typ    uint16
		rdatas []string
		want   int // records
	}{
		{"a key in a type that is not known", 257, []string{"\x00\x05issuek3y", "\x00\x05issueca.test"}, 1},
		{"nothing but keys", 257, []string{"\x00\x05issuek3y"}, 0},
		{"a text that grows beyond 65,535 octets", wire.TypeTXT, []string{text, "\x05short"}, 1},
	} {
		r := wire.Response{Records: [][]byte{}}
		for _, rdata := range tt.rdatas {
			r.Records = append(r.Records, []byte(rdata))
		}
		p := z.pack(&r, tt.typ)
		got := 0
		for rec := range p.records {
			if got++; rec.typ != tt.typ || len(rec.rdata) == 0 {
				t.Errorf("%s: a record of type %d with %d octets", tt.name, rec.typ, len(rec.rdata))
			}
		}
		if got != tt.want || p.has() != (tt.want > 0) {
			t.Errorf("%s: %d records, want %d", tt.name, got, tt.want)
		}
	}
}

// TestHider_name: the zone's own name may hold the list's, as a part of a label or
// below it. It is no secret.
func TestHider_name(t *testing.T) {
	for _, tt := range []struct{ zone, name, want string }{
		{"dnsbl.example", "ns.bl.example", "ns.dnsbl.example"},
		{"our.bl.example", "bl.example", "our.bl.example"},
		{"dnsbl.example", "k3y.bl.example", "hidden"},
		{"dnsbl.example", "k3y.example", "hidden"},
		{"dnsbl.example", "ns.example", "ns.example"},
	} {
		from, _ := rbl.AppendName(nil, "bl.example")
		to, _ := rbl.AppendName(nil, tt.zone)
		h := newHider(&ZoneOptions{Name: tt.zone, Upstream: "bl.example", Secrets: []string{"k3y"}}, from, to)
		name, _ := rbl.AppendName(nil, tt.name)
		if got := h.name(name).String(); got != tt.want {
			t.Errorf("in %s the name %s becomes %s, want %s", tt.zone, tt.name, got, tt.want)
		}
	}
}

// TestFileAnswers_newData: the data are replaced more often than answers are
// kept, each time with another serial, and its answers are packed once still.
func TestFileAnswers_newData(t *testing.T) {
	var k fileAnswers
	answer := func(serial int) []byte {
		soa := binary.BigEndian.AppendUint32([]byte("\x02ns\x00\x04root\x00"), uint32(serial))
		return appendPacked([]byte{wire.RcodeNXDomain}, wire.Authority, wire.TypeSOA, soa)
	}
	listed := appendPacked([]byte{wire.RcodeSuccess}, wire.Answer, wire.TypeA, []byte{127, 0, 0, 2})
	k.of(listed, true)
	for serial := range fileAnswersMax + 1 {
		k.of(answer(serial), true)
	}
	if kept := len(*k.known.Load()); kept != 2 {
		t.Errorf("%d answers are kept, want 2", kept)
	}
	for _, b := range [][]byte{listed, answer(fileAnswersMax)} {
		if k.of(b, true) != packed(b) || (*k.known.Load())[string(b)] == "" {
			t.Errorf("answer %x is packed each time", b)
		}
	}
}
