package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// answer builds a message with miekg/dns: the question, then lines of records
// per section.
func answer(t testing.TB, name string, qtype uint16, rcode int, sections ...[]string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Response, m.Rcode, m.Compress = true, rcode, true
	for i, lines := range sections {
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			switch i {
			case 0:
				m.Answer = append(m.Answer, rr)
			case 1:
				m.Ns = append(m.Ns, rr)
			default:
				m.Extra = append(m.Extra, rr)
			}
		}
	}
	pkt, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return pkt
}

const soa = "bl.example. 3600 IN SOA ns.example. host.example. 7 3600 600 86400 150"

func TestParseResponse(t *testing.T) {
	var loop, long []string
	loop = []string{"q.bl.example. 9 CNAME r.bl.example.", "r.bl.example. 9 CNAME q.bl.example."}
	last := "q.bl.example."
	for i := range maxAliases {
		next := fmt.Sprintf("a%d.bl.example.", i)
		long = append(long, last+" 60 CNAME "+next)
		last = next
	}
	long = append(long, last+" 60 A 127.0.0.2")
	tests := []struct {
		name     string
		qtype    uint16
		rcode    int
		sections [][]string
		want     string // records in hex, TTL, flags; or the error
	}{
		{"listed", dns.TypeA, 0, [][]string{{"q.bl.example. 300 A 127.0.0.2", "Q.BL.example. 200 A 127.0.0.4"}}, "7f000002 7f000004 ttl=200"},
		{"other owner and type", dns.TypeA, 0, [][]string{{"x.bl.example. 300 A 127.0.0.9", "q.bl.example. 100 TXT x", "q.bl.example. 300 A 127.0.0.2"}}, "7f000002 ttl=300"},
		{"records in other sections", dns.TypeA, 0, [][]string{nil, nil, {"q.bl.example. 300 A 127.0.0.2"}}, "ttl=0"},
		{"class CH", dns.TypeA, 0, [][]string{{"q.bl.example. 300 CH TXT x"}}, "ttl=0"},
		{"TTL 0", dns.TypeA, 0, [][]string{{"q.bl.example. 0 A 127.0.0.2", "q.bl.example. 300 A 127.0.0.4"}}, "7f000002 7f000004 ttl=0"},
		{"huge TTL", dns.TypeA, 0, [][]string{{"q.bl.example. 2147483648 A 127.0.0.2"}}, "7f000002 ttl=2147483647"},
		{"huge MINIMUM", dns.TypeA, 3, [][]string{nil, {"bl.example. 4294967295 IN SOA a. b. 7 3600 600 86400 4294967295"}}, "rcode=3 soa ttl=2147483647"},
		{"text", dns.TypeTXT, 0, [][]string{{`q.bl.example. 300 TXT "ab" "c"`}}, "0261620163 ttl=300"},
		{"alias", dns.TypeA, 0, [][]string{{"q.bl.example. 30 CNAME other.test.", "other.test. 300 A 127.0.0.2"}}, "7f000002 ttl=30"},
		{"alias in wrong order", dns.TypeA, 0, [][]string{{"c.test. 300 A 127.0.0.2", "b.test. 20 CNAME c.test.", "q.bl.example. 30 CNAME b.test."}}, "7f000002 ttl=20"},
		{"alias asked for", dns.TypeCNAME, 0, [][]string{{"q.bl.example. 30 CNAME b.c."}}, "0162016300 ttl=30"},
		{"alias to nothing", dns.TypeA, 0, [][]string{{"q.bl.example. 30 CNAME b.test."}}, "ttl=0"},
		{"aliases loop", dns.TypeA, 0, [][]string{loop}, ErrLoop.Error()},
		{"as many aliases as allowed", dns.TypeA, 0, [][]string{long}, "7f000002 ttl=60"},
		{"compressed names in RDATA", dns.TypeMX, 0, [][]string{{"q.bl.example. 60 MX 10 mx.bl.example."}}, "000a026d7802626c076578616d706c6500 ttl=60"},
		{"unlisted", dns.TypeA, 3, [][]string{nil, {soa}}, "rcode=3 soa ttl=150"},
		{"no data", dns.TypeA, 0, [][]string{nil, {soa}}, "soa ttl=150"},
		{"SOA's own TTL is less", dns.TypeA, 3, [][]string{nil, {"bl.example. 9 IN SOA a. b. 7 3600 600 86400 150"}}, "rcode=3 soa ttl=9"},
		{"alias' TTL is less", dns.TypeA, 3, [][]string{{"q.bl.example. 8 CNAME z.bl.example."}, {soa}}, "rcode=3 soa ttl=8"},
		{"foreign SOA", dns.TypeA, 3, [][]string{nil, {"other.example. 9 IN SOA a. b. 7 3600 600 86400 150"}}, "rcode=3 ttl=0"},
		{"records under NXDOMAIN", dns.TypeA, 3, [][]string{{"q.bl.example. 300 A 127.0.0.2"}, {soa}}, "rcode=3 soa ttl=150"},
		{"referral", dns.TypeA, 0, [][]string{nil, {"bl.example. 9 NS ns.bl.example."}}, "referral ttl=0"},
		{"servfail", dns.TypeA, 2, nil, "rcode=2 ttl=0"},
		{"bad EDNS version", dns.TypeA, 16, [][]string{nil, nil, nil}, "rcode=16 ttl=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pkt []byte
			if tt.rcode > 15 {
				m := new(dns.Msg)
				m.SetQuestion("q.bl.example.", tt.qtype)
				m.SetEdns0(1232, false)
				m.Response, m.Rcode = true, tt.rcode
				pkt, _ = m.Pack()
			} else {
				pkt = answer(t, "q.bl.example.", tt.qtype, tt.rcode, tt.sections...)
			}
			r, err := ParseResponse(pkt, Question{mustName(t, "q.bl.example"), tt.qtype}, nil)
			if got := describe(r, err); got != tt.want {
				t.Errorf("ParseResponse = %s, want %s", got, tt.want)
			}
		})
	}
}

func describe(r Response, err error) string {
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, rec := range r.Records {
		parts = append(parts, fmt.Sprintf("%x", rec))
	}
	if r.Rcode != 0 {
		parts = append(parts, fmt.Sprintf("rcode=%d", r.Rcode))
	}
	if r.Truncated {
		parts = append(parts, "truncated")
	}
	if r.Referral {
		parts = append(parts, "referral")
	}
	if r.SOA != nil {
		parts = append(parts, "soa")
	}
	return strings.Join(append(parts, fmt.Sprintf("ttl=%d", r.TTL)), " ")
}

func TestParseResponse_refuses(t *testing.T) {
	good := answer(t, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 300 A 127.0.0.2"})
	q := Question{mustName(t, "q.bl.example"), dns.TypeA}
	change := func(f func(p []byte) []byte) []byte { return f(bytes.Clone(good)) }
	set := func(i int, v byte) []byte { return change(func(p []byte) []byte { p[i] = v; return p }) }
	tests := []struct {
		name string
		pkt  []byte
		want error
	}{
		{"empty", nil, ErrMalformed},
		{"header cut", good[:11], ErrMalformed},
		{"a query", set(2, 0x01), ErrMismatch},
		{"opcode NOTIFY", set(2, 0xa1), ErrMismatch},
		{"no question", set(5, 0), ErrMismatch},
		{"two questions", set(5, 2), ErrMismatch},
		{"other name", set(13, 'x'), ErrMismatch},
		{"other type", set(27, 16), ErrMismatch},
		{"other class", set(29, 3), ErrMismatch},
		{"record cut", good[:len(good)-1], ErrMalformed},
		{"more records than sent", set(7, 2), ErrMalformed},
		{"RDATA of wrong length", change(func(p []byte) []byte { p[len(p)-5] = 3; return p[:len(p)-1] }), ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseResponse(tt.pkt, q, nil); !errors.Is(err, tt.want) {
				t.Errorf("ParseResponse = %v, want %v", err, tt.want)
			}
		})
	}
	if r, err := ParseResponse(set(2, 0x83)[:30], q, nil); err != nil || !r.Truncated {
		t.Errorf("a cut message with TC: %v, %v", r, err)
	}
}

// An owner whose pointer leads to itself or forward spoils the message. Were
// it another name, the answer would pass for one without records.
func TestParseResponse_pointers(t *testing.T) {
	good := answer(t, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 300 A 127.0.0.2"})
	q := Question{mustName(t, "q.bl.example"), dns.TypeA}
	owner := len(good) - 16
	for _, to := range []int{owner, owner + 2, 0, 0x3fff} {
		pkt := bytes.Clone(good)
		binary.BigEndian.PutUint16(pkt[owner:], 0xc000|uint16(to))
		if r, err := ParseResponse(pkt, q, nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("pointer to %d: ParseResponse = %s, want %v", to, describe(r, err), ErrMalformed)
		}
	}
}

func TestParseResponse_zone(t *testing.T) {
	zone := mustName(t, "bl.example")
	q := Question{mustName(t, "q.bl.example"), dns.TypeA}
	in := answer(t, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 30 CNAME r.bl.example.", "r.bl.example. 300 A 127.0.0.2"})
	out := answer(t, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 30 CNAME r.example.", "r.example. 300 A 127.0.0.2"})
	if r, err := ParseResponse(in, q, zone); err != nil || len(r.Records) != 1 {
		t.Errorf("alias inside the zone: %s", describe(r, err))
	}
	if r, err := ParseResponse(out, q, zone); err != nil || len(r.Records) != 0 {
		t.Errorf("alias out of the zone: %s", describe(r, err))
	}
}

func TestParseDelegation(t *testing.T) {
	org := mustName(t, "org")
	q := Question{Name("\x03zEn\x04LIST\x03oRg\x00"), dns.TypeNS} // as sent
	ns := []string{"list.org. 900 NS a.list.org.", "list.org. 800 NS ns.other.org.", "list.org. 900 NS ns.other.net."}
	glue := []string{"a.list.org. 700 A 192.0.2.1", "a.list.org. 900 AAAA 2001:db8::1", "ns.other.org. 900 A 192.0.2.2", "ns.other.net. 5 A 192.0.2.66", "x.list.org. 5 A 192.0.2.67"}
	d, ok := ParseDelegation(answer(t, "zen.list.org.", dns.TypeNS, 0, nil, ns, glue), q, org)
	if !ok || d.Zone.String() != "list.org" || d.TTL != 700 || len(d.Hosts) != 3 {
		t.Fatalf("ParseDelegation = %v, %t", d, ok)
	}
	want := []string{"[192.0.2.1 2001:db8::1]", "[192.0.2.2]", "[]"}
	for i, h := range d.Hosts {
		if got := fmt.Sprint(append([]netip.Addr{}, h.Addrs...)); got != want[i] {
			t.Errorf("addresses of %s = %s, want %s", h.Name, got, want[i])
		}
	}
	for name, ns := range map[string][]string{
		"upward":  {"org. 900 NS a.org."},
		"root":    {". 900 NS a.org."},
		"sibling": {"other.org. 900 NS a.org."},
		"below":   {"x.zen.list.org. 900 NS a.org."},
	} {
		if d, ok := ParseDelegation(answer(t, "zen.list.org.", dns.TypeNS, 0, nil, ns), q, org); ok {
			t.Errorf("%s referral taken for a delegation: %v", name, d)
		}
	}
}

// FuzzParseResponse holds that whatever ParseResponse accepts, miekg/dns reads
// the same out of it, and that it accepts what miekg/dns packs.
func FuzzParseResponse(f *testing.F) {
	add := func(name string, qtype uint16, rcode int, s ...[]string) { f.Add(answer(f, name, qtype, rcode, s...)) }
	add("q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 30 CNAME b.test.", "b.test. 20 CNAME c.test.", "c.test. 300 A 127.0.0.2"})
	add("q.bl.example.", dns.TypeA, 3, nil, []string{soa})
	add("q.bl.example.", dns.TypeTXT, 0, []string{`q.bl.example. 300 TXT "ab" "c"`, "q.bl.example. 3 A 127.0.0.2"})
	add("q.bl.example.", dns.TypeNAPTR, 0, []string{`q.bl.example. 300 NAPTR 1 2 "u" "a" "b" bl.example.`})
	add("q.bl.example.", dns.TypeSRV, 0, []string{"q.bl.example. 300 SRV 1 2 3 x.bl.example.", "q.bl.example. 300 SRV 1 2 4 y.example."})
	add("q.bl.example.", dns.TypeSOA, 0, []string{"q." + soa})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		if len(pkt) < HeaderLen {
			return
		}
		end, ok := passName(pkt, HeaderLen)
		if !ok || end+4 > len(pkt) || !Name(pkt[HeaderLen:end]).Valid() {
			return
		}
		q := Question{Name(bytes.Clone(pkt[HeaderLen:end])), binary.BigEndian.Uint16(pkt[end:])}
		q.Name.Lower()
		compareWithTwin(t, pkt, q)
		var m dns.Msg
		if m.Unpack(pkt) != nil || m.Truncated {
			return
		}
		m.Compress = true
		again, err := m.Pack()
		if err != nil || m.Unpack(again) != nil {
			return
		}
		if _, err = ParseResponse(again, q, nil); errors.Is(err, ErrMalformed) && plain(&m) {
			t.Fatalf("ParseResponse refuses what miekg packs: %x\n%v", again, &m)
		}
		compareWithTwin(t, again, q)
	})
}

// plain reports whether every record reads back from its text. miekg/dns also
// unpacks records that were cut short, or have no RDATA at all (RFC 2136), and
// packs them again as they are.
func plain(m *dns.Msg) bool {
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		again, err := dns.NewRR(rr.String())
		if err != nil || again == nil || rr.Header().Rdlength == 0 {
			return false
		}
	}
	return true
}

func compareWithTwin(t *testing.T, pkt []byte, q Question) {
	r, err := ParseResponse(pkt, q, nil)
	var m dns.Msg
	if err != nil || r.Truncated || m.Unpack(pkt) != nil {
		return
	}
	want := parseSlow(t, &m, q)
	if len(want) != len(r.Records) {
		t.Fatalf("records = %x, miekg has %x\n%v", r.Records, want, &m)
	}
	for i := range want {
		if !bytes.Equal(want[i], r.Records[i]) {
			t.Fatalf("record %d = %x, miekg has %x", i, r.Records[i], want[i])
		}
	}
}

// parseSlow is the definition of Response.Records over an unpacked message.
func parseSlow(t *testing.T, m *dns.Msg, q Question) (records [][]byte) {
	if m.Rcode != 0 {
		return nil
	}
	wireOf := func(s string) string {
		buf := make([]byte, 300)
		off, err := dns.PackDomainName(s, buf, 0, nil, false)
		if err != nil {
			t.Skip() // miekg prints a name that it does not read back
		}
		n := Name(buf[:off])
		n.Lower()
		return string(n)
	}
	owner := string(q.Name)
	for again := q.Type != dns.TypeCNAME; again; {
		again = false
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && c.Hdr.Class == 1 && wireOf(c.Hdr.Name) == owner {
				owner, again = wireOf(c.Target), true
				break
			}
		}
	}
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype != q.Type || h.Class != 1 || wireOf(h.Name) != owner {
			continue
		}
		buf := make([]byte, 70000)
		off, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Skip()
		}
		records = append(records, buf[len(owner)+10:off])
	}
	return records
}

func BenchmarkParseResponse(b *testing.B) {
	q := Question{mustName(b, "q.bl.example"), dns.TypeA}
	for name, pkt := range map[string][]byte{
		"listed=1": answer(b, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 300 A 127.0.0.2"}),
		"listed=3": answer(b, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 300 A 127.0.0.2", "q.bl.example. 300 A 127.0.0.3", "q.bl.example. 300 A 127.0.0.4"}),
		"unlisted": answer(b, "q.bl.example.", dns.TypeA, 3, nil, []string{soa}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseResponse(pkt, q, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
