package wire

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// packet packs m and panics when the test itself is wrong.
func packet(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func query(name string, typ uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, typ)
}

func TestQuery_Parse(t *testing.T) {
	edns := func(m *dns.Msg, size uint16) *dns.Msg { return m.SetEdns0(size, true) }
	twoOPT := edns(edns(query("a.example.", dns.TypeA), 1232), 1232)
	badVersion := edns(query("a.example.", dns.TypeA), 1232)
	badVersion.IsEdns0().SetVersion(1)
	answer := query("a.example.", dns.TypeA)
	answer.Response = true
	notify := query("a.example.", dns.TypeA)
	notify.Opcode = dns.OpcodeNotify
	none := query("a.example.", dns.TypeA)
	none.Question = nil
	two := query("a.example.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	owned := edns(query("a.example.", dns.TypeA), 1232)
	owned.Extra[0].Header().Name = "b.example."

	plain := packet(t, query("a.example.", dns.TypeA))
	pointer := append(append([]byte(nil), plain[:HeaderLen]...), 0xc0, HeaderLen, 0, 1, 0, 1)

	tests := []struct {
		name string
		pkt  []byte
		want Fault
		size int
	}{
		{"plain", plain, OK, 512},
		{"EDNS", packet(t, edns(query("a.example.", dns.TypeA), 4096)), OK, MaxUDP},
		{"EDNS with a size below 512", packet(t, edns(query("a.example.", dns.TypeA), 100)), OK, 512},
		{"the longest name", packet(t, query(strings.Repeat(strings.Repeat("x", 61)+".", 4)+"abcd.", dns.TypeA)), OK, 512},
		{"root", packet(t, query(".", dns.TypeNS)), OK, 512},
		{"bytes behind the message", append(packet(t, query("a.example.", dns.TypeA)), 1, 2, 3), OK, 512},
		{"EDNS version 1", packet(t, badVersion), BadVers, 1232},
		{"two OPT records", packet(t, twoOPT), FormErr, 1232},
		{"an OPT record with an owner", packet(t, owned), FormErr, 512},
		{"an answer", packet(t, answer), Drop, 512},
		{"half a header", plain[:11], Drop, 512},
		{"NOTIFY", packet(t, notify), NotImp, 512},
		{"NOTIFY with EDNS", packet(t, edns(notify.Copy(), 1232)), NotImp, MaxUDP},
		{"no question", packet(t, none), FormErr, 512},
		{"two questions", packet(t, two), FormErr, 512},
		{"a name cut short", plain[:HeaderLen+3], FormErr, 512},
		{"a type cut short", plain[:len(plain)-3], FormErr, 512},
		{"a compressed question", pointer, FormErr, 512},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var q Query
			if got := q.Parse(tt.pkt); got != tt.want {
				t.Errorf("Parse = %d, want %d", got, tt.want)
			}
			if q.UDPSize != tt.size {
				t.Errorf("UDPSize = %d, want %d", q.UDPSize, tt.size)
			}
		})
	}
}

func TestQuery_Suffix(t *testing.T) {
	var q Query
	q.Parse(packet(t, query("4.3.2.1.Zen.Example.", dns.TypeA)))
	for n, want := range []string{"example", "zen.example", "1.zen.example"} {
		if got := q.Suffix(n + 1).String(); got != want {
			t.Errorf("Suffix(%d) = %q, want %q", n+1, got, want)
		}
	}
	if got := q.Name().String(); got != "4.3.2.1.zen.example" || q.Labels() != 6 {
		t.Errorf("Name() = %q with %d labels", got, q.Labels())
	}
}

// FuzzQuery parses arbitrary packets and answers them. Whatever is answered
// is a message that miekg/dns reads, with the ID and, if there was one, the
// question of the packet; what Parse takes, miekg/dns takes too.
func FuzzQuery(f *testing.F) {
	f.Add(packet(f, query("4.3.2.1.zen.example.", dns.TypeA)), true)
	f.Add(packet(f, query("Ab.example.", dns.TypeTXT).SetEdns0(4096, true)), false)
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, pkt []byte, listed bool) {
		var q Query
		fault := q.Parse(pkt)
		if fault == Drop {
			return
		}
		if q.nameLen > 0 && !q.Name().Valid() {
			t.Fatalf("Name() = %x is not a name", []byte(q.Name()))
		}
		rep := Begin(nil, pkt, &q.Head, RcodeNXDomain, q.UDPSize)
		if listed && fault == OK {
			rep.Record(Answer, 0, TypeA, 60, "\x7f\x00\x00\x02")
		}
		out := rep.Finish(RcodeNXDomain, 17, "why ", "so")
		if len(out) > q.UDPSize {
			t.Fatalf("answer of %d octets, room for %d", len(out), q.UDPSize)
		}
		var m, in dns.Msg
		if err := m.Unpack(out); err != nil {
			t.Fatalf("answer %x to %x: %v", out, pkt, err)
		}
		if m.Id != binary.BigEndian.Uint16(pkt) || !m.Response || (m.IsEdns0() != nil) != q.EDNS {
			t.Fatalf("answer %v", &m)
		}
		if fault != OK {
			return
		}
		if len(m.Question) != 1 || string(out[HeaderLen:q.End]) != string(pkt[HeaderLen:q.End]) {
			t.Fatalf("the question of %x is not repeated in %x", pkt, out)
		}
		// miekg/dns is stricter with RDATA, which is not looked at here.
		if err := in.Unpack(pkt); err == nil && len(in.Question) == 1 && in.Question[0].Qtype != q.Type {
			t.Fatalf("type %d, miekg/dns says %d", q.Type, in.Question[0].Qtype)
		}
	})
}

func TestReply_truncates(t *testing.T) {
	pkt := packet(t, query("a.example.", dns.TypeTXT).SetEdns0(512, false))
	var q Query
	q.Parse(pkt)
	rep := Begin(nil, pkt, &q.Head, RcodeSuccess, q.UDPSize)
	for range 3 {
		rep.Record(Answer, 0, TypeTXT, 60, "\xc8", strings.Repeat("x", 200))
	}
	var m dns.Msg
	if err := m.Unpack(rep.Finish(RcodeSuccess, 0)); err != nil {
		t.Fatal(err)
	}
	if !m.Truncated || len(m.Answer) != 0 || m.IsEdns0() == nil {
		t.Errorf("got %v, want an empty answer with TC and OPT", &m)
	}
}

func TestReply_allocs(t *testing.T) {
	pkt := packet(t, query("4.3.2.1.zen.example.", dns.TypeA).SetEdns0(1232, false))
	buf := make([]byte, 0, MaxUDP)
	var q Query
	n := testing.AllocsPerRun(100, func() {
		q.Parse(pkt)
		rep := Begin(buf, pkt, &q.Head, RcodeSuccess, q.UDPSize)
		rep.Record(Answer, 0, TypeA, 60, "\x7f\x00\x00\x02")
		buf = rep.Finish(RcodeSuccess, edeForTest, "exempt: ", "efax", " (", "spf efax.com", ")")
	})
	if n != 0 {
		t.Errorf("parsing and answering allocates %v times, want 0", n)
	}
}

const edeForTest = 17
