package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
)

// seen is what a client sees of an answer: response code, flags other than QR
// and RA, each record with its owner and TTL, and the OPT record.
func seen(m *dns.Msg) string {
	if m == nil {
		return "nothing"
	}
	out := dns.RcodeToString[m.Rcode&0xf]
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"no QR", !m.Response}, {"AA", m.Authoritative}, {"AD", m.AuthenticatedData}, {"no RA", !m.RecursionAvailable},
		{"TC", m.Truncated}, {"RD", m.RecursionDesired}, {"CD", m.CheckingDisabled},
	} {
		if flag.set {
			out += " " + flag.name
		}
	}
	for i, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			h := rr.Header()
			out += fmt.Sprintf("%s%s %s %d", []string{", ", " | "}[i], h.Name, dns.TypeToString[h.Rrtype], h.Ttl)
			if soa, ok := rr.(*dns.SOA); ok {
				out += " " + soa.Ns
			}
		}
	}
	if opt := m.IsEdns0(); opt != nil {
		out += fmt.Sprintf("; EDNS %d %d", opt.Version(), opt.UDPSize())
		if opt.ExtendedRcode() != 0 {
			out += " BADVERS"
		}
		if opt.Do() {
			out += " DO"
		}
	}
	return out
}

// TestRespond_wire asks in every way that clients have, and looks at all of the
// answer.
func TestRespond_wire(t *testing.T) {
	l := spamhaus()
	l.records["5.2.0.192.list.example A"] = []string{"127.0.0.2"}
	for range 6 {
		l.records["5.2.0.192.list.example TXT"] = append(l.records["5.2.0.192.list.example TXT"], strings.Repeat("x", 200))
	}
	mapped := "1.0." + strings.Repeat("0.", 20) + "0.0.8.b.d.0.1.0.0.2.bl.test"
	l.records[strings.TrimSuffix(mapped, "bl.test")+"list.example A"] = []string{"127.0.0.3"}
	s := newScene(t, nil, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}})
	if err := s.r.Configure(Settings{
		Zones: []ZoneOptions{testZone("bl.test", l), testZone("sub.bl.test", spamhaus())}, MaxTTL: time.Hour, MaxNegativeTTL: time.Hour,
		Clients: []netip.Prefix{netip.PrefixFrom(testClient, 32)},
		Relay:   fakeRelay(func([]byte) ([]byte, error) { return nil, errors.New("relayed") }),
	}); err != nil {
		t.Fatal(err)
	}
	const relayed = "SERVFAIL RD"
	edns := func(size uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.SetEdns0(size, false) } }
	for _, tt := range []struct {
		ask    string
		change func(*dns.Msg)
		want   string
	}{
		{"1.2.0.192.Bl.TEST A", nil, "NOERROR RD, 1.2.0.192.Bl.TEST. A 300"},
		{"1.2.0.192.bl.test AAAA", nil, "NOERROR RD | bl.test. SOA 300 ns.list."},
		{"9.2.0.192.bL.test A", nil, "NXDOMAIN RD | bL.test. SOA 300 ns.list."},
		{"2.2.0.192.bl.test A", nil, "NXDOMAIN RD | bl.test. SOA 60 localhost."},
		{"2.2.0.192.bl.test TXT", nil, "NXDOMAIN RD | bl.test. SOA 60 localhost."},
		{"2.2.0.192.bl.test ANY", nil, "NXDOMAIN RD | bl.test. SOA 60 localhost."},
		{"9.2.0.192.bl.test ANY", nil, "NXDOMAIN RD | bl.test. SOA 300 ns.list."},
		{"1.2.0.192.bl.test ANY", nil, "NOERROR RD, 1.2.0.192.bl.test. HINFO 300"},
		{mapped + " A", nil, "NOERROR RD, " + mapped + ". A 300"},
		{"bad.example.bl.test A", nil, "NOERROR RD, bad.example.bl.test. A 300"},
		{"2.0.192.bl.test A", nil, "NOERROR RD | bl.test. SOA 60 localhost."},
		{"192.bl.test TXT", nil, "NOERROR RD | bl.test. SOA 60 localhost."},
		{"0.0.8.b.d.0.1.0.0.2.bl.test A", nil, "NOERROR RD | bl.test. SOA 60 localhost."},
		{"1.2.0.192.sub.bl.test A", nil, "NOERROR RD, 1.2.0.192.sub.bl.test. A 300"},
		{"bl.test DS", nil, relayed},
		{"sub.bl.test DS", nil, relayed},
		{"9.2.0.192.bl.test DS", nil, "NXDOMAIN RD | bl.test. SOA 300 ns.list."},
		{"test A", nil, relayed},
		{"notbl.test A", nil, relayed},
		{"5.2.0.192.bl.test TXT", nil, "NOERROR TC RD"},
		{"5.2.0.192.bl.test TXT", edns(4096), "NOERROR TC RD; EDNS 0 1232"},
		{"1.2.0.192.bl.test A", edns(1), "NOERROR RD, 1.2.0.192.bl.test. A 300; EDNS 0 1232"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.SetEdns0(512, true) }, "NOERROR RD, 1.2.0.192.bl.test. A 300; EDNS 0 1232 DO"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.SetEdns0(512, true).IsEdns0().SetVersion(1) }, "NOERROR RD; EDNS 0 1232 BADVERS DO"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = false, true, true }, "NOERROR CD, 1.2.0.192.bl.test. A 300"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.Response = true }, "nothing"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, "NOTIMP RD"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, "FORMERR RD"},
		{"1.2.0.192.bl.test A", func(m *dns.Msg) { m.Question = nil }, "FORMERR RD"},
		{"version.bind TXT", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, "REFUSED RD"},
		{"bl.test AXFR", nil, "REFUSED RD"},
		{"www.example AXFR", nil, "REFUSED RD"},
		{"bl.test IXFR", func(m *dns.Msg) { m.SetIxfr("bl.test.", 1, "ns.", "mb.") }, "REFUSED RD"},
	} {
		for _, tcp := range []bool{false, true} {
			name, typ, _ := strings.Cut(tt.ask, " ")
			m := new(dns.Msg).SetQuestion(name+".", dns.StringToType[typ])
			if tt.change != nil {
				tt.change(m)
			}
			want := tt.want
			if tcp { // where there is room for all
				want = strings.Replace(want, " TC RD", " RD"+strings.Repeat(", "+name+". TXT 300", 6), 1)
			}
			if got := seen(s.exchange(m, tcp)); got != want {
				t.Errorf("%s, TCP %t: %s\nwant %s", tt.ask, tcp, got, want)
			}
		}
	}
}
