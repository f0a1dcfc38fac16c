package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// protocolProxy has one list, an exempt address and one that both lists and
// rules know.
func protocolProxy(t *testing.T) *Proxy {
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2", "192.0.2.67": "127.0.0.2", "2001:db8::66": "127.0.0.3"})
	return startProxy(t, ProxyOptions{
		Top:    `others = "refuse"`,
		Config: zone("bl.example", `codes = { "127.0.0.2" = "SBL" }`, list.Addr) + "[allow.some]\ncidr = [\"192.0.2.67\"]\n",
	})
}

// TestProtocol asks in ways that servers get wrong (RFC 8906), over UDP and TCP.
func TestProtocol(t *testing.T) {
	t.Parallel()
	proxy := protocolProxy(t)
	listed := reverse("192.0.2.66", "bl.example")
	for _, c := range []struct {
		name  string
		build func(m *dns.Msg)
		want  int
	}{
		{"plain", func(*dns.Msg) {}, dns.RcodeSuccess},
		{"EDNS", func(m *dns.Msg) { m.SetEdns0(4096, false) }, dns.RcodeSuccess},
		{"EDNS with DO", func(m *dns.Msg) { m.SetEdns0(4096, true) }, dns.RcodeSuccess},
		{"EDNS with an unknown option", func(m *dns.Msg) {
			m.SetEdns0(4096, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}}
		}, dns.RcodeSuccess},
		{"EDNS version 1", func(m *dns.Msg) { m.SetEdns0(4096, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
		{"the Z bit", func(m *dns.Msg) { m.Zero = true }, dns.RcodeSuccess},
		{"the AD and CD bits", func(m *dns.Msg) { m.AuthenticatedData, m.CheckingDisabled = true, true }, dns.RcodeSuccess},
		{"recursion not desired", func(m *dns.Msg) { m.RecursionDesired = false }, dns.RcodeSuccess},
		{"opcode STATUS", func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }, dns.RcodeNotImplemented},
		{"opcode UPDATE", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		{"opcode 15", func(m *dns.Msg) { m.Opcode = 15 }, dns.RcodeNotImplemented},
		{"no question", func(m *dns.Msg) { m.Question = nil }, dns.RcodeFormatError},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError},
		{"class CH", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		{"AXFR", func(m *dns.Msg) { m.SetAxfr("bl.example.") }, dns.RcodeRefused},
		{"IXFR", func(m *dns.Msg) { m.SetIxfr("bl.example.", 1, "ns.", "mb.") }, dns.RcodeRefused},
		{"ANY for a listed name", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY }, dns.RcodeSuccess},
		{"ANY for an unlisted name", func(m *dns.Msg) { m.SetQuestion(reverse("192.0.2.1", "bl.example"), dns.TypeANY) }, dns.RcodeNameError},
		{"ANY for an exempt name", func(m *dns.Msg) { m.SetQuestion(reverse("192.0.2.67", "bl.example"), dns.TypeANY) }, dns.RcodeNameError},
		{"TXT for an exempt name", func(m *dns.Msg) { m.SetQuestion(reverse("192.0.2.67", "bl.example"), dns.TypeTXT) }, dns.RcodeNameError},
		{"AAAA for a listed name", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, dns.RcodeSuccess},
		{"the apex", func(m *dns.Msg) { m.SetQuestion("bl.example.", dns.TypeA) }, dns.RcodeSuccess},
		{"a partial address", func(m *dns.Msg) { m.SetQuestion("2.0.192.bl.example.", dns.TypeA) }, dns.RcodeSuccess},
		{"another zone", func(m *dns.Msg) { m.SetQuestion("www.example.net.", dns.TypeA) }, dns.RcodeRefused},
		{"a name that ends alike", func(m *dns.Msg) { m.SetQuestion("66.2.0.192.notbl.example.", dns.TypeA) }, dns.RcodeRefused},
	} {
		for _, network := range []string{"udp", "tcp"} {
			m := new(dns.Msg).SetQuestion(listed, dns.TypeA)
			c.build(m)
			got, _, err := exchange(network, proxy.Addr, m)
			if err != nil {
				t.Errorf("%s over %s: %v", c.name, network, err)
				continue
			}
			if got.Rcode != c.want {
				t.Errorf("%s over %s: %s, want %s", c.name, network, dns.RcodeToString[got.Rcode], dns.RcodeToString[c.want])
			}
			if err := wellFormed(m, got); err != nil {
				t.Errorf("%s over %s: %v\n%v", c.name, network, err, got)
			}
		}
	}
}

// wellFormed checks what holds for every answer.
func wellFormed(q, m *dns.Msg) error {
	switch edns := m.IsEdns0(); {
	case m.Authoritative || m.AuthenticatedData || !m.RecursionAvailable && m.Rcode == dns.RcodeSuccess:
		return fmt.Errorf("AA %t, AD %t, RA %t; want RA alone", m.Authoritative, m.AuthenticatedData, m.RecursionAvailable)
	case m.Opcode != q.Opcode || m.RecursionDesired != q.RecursionDesired:
		return fmt.Errorf("opcode %d, RD %t are not those of the question", m.Opcode, m.RecursionDesired)
	case (edns != nil) != (q.IsEdns0() != nil):
		return fmt.Errorf("EDNS in the answer %t, in the question %t", edns != nil, q.IsEdns0() != nil)
	case edns != nil && edns.UDPSize() != 1232:
		return fmt.Errorf("EDNS size %d, want 1232", edns.UDPSize())
	case edns != nil && edns.Version() != 0:
		return fmt.Errorf("EDNS version %d", edns.Version())
	case m.Rcode == dns.RcodeNameError && (len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA || m.Ns[0].Header().Name != "bl.example."):
		return fmt.Errorf("NXDOMAIN with authority %v, want the zone's SOA", m.Ns)
	}
	return nil
}

// TestProtocol_reason reads the Extended DNS Error of an exempt address.
func TestProtocol_reason(t *testing.T) {
	t.Parallel()
	proxy := protocolProxy(t)
	m := new(dns.Msg).SetQuestion(reverse("192.0.2.67", "bl.example"), dns.TypeA).SetEdns0(1232, false)
	got, _, err := exchange("udp", proxy.Addr, m)
	if err != nil {
		t.Fatal(err)
	}
	edns := got.IsEdns0()
	if edns == nil {
		t.Fatalf("no EDNS in the answer to a question with EDNS: %v", got)
	}
	var reasons []string
	for _, option := range edns.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			reasons = append(reasons, fmt.Sprintf("%d %s", ede.InfoCode, ede.ExtraText))
		}
	}
	if len(reasons) != 1 || !strings.HasPrefix(reasons[0], "17 exempt: some") {
		t.Errorf("Extended DNS Errors %q, want one of code 17 that names the rule", reasons)
	}
}

// TestProtocol_wildcardListener answers from the address that was asked: a
// connected socket, like a resolver's, sees no other answer.
func TestProtocol_wildcardListener(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	port := freePort(t)
	proxy := prepareProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr)})
	config := read(t, proxy.configFile())
	write(t, proxy.dir, "config.toml", strings.Replace(config, proxy.Addr.String(), fmt.Sprintf("0.0.0.0:%d", port), 1))
	proxy.launch(t)
	for range 5 {
		at := netip.AddrPortFrom(freeIP(t), port)
		if got := verdict(t, at, "192.0.2.66", "bl.example"); got != "listed 127.0.0.2" {
			t.Errorf("asked at %v: %s", at, got)
		}
	}
}

// lookedUp is one element of lookup --json.
type lookedUp struct {
	Zone, Verdict, Text, Rule, Source, Reason string
	Codes                                     []string
}

// TestCommands_running asks the running server by the command line.
func TestCommands_running(t *testing.T) {
	t.Parallel()
	proxy := protocolProxy(t)
	for subject, want := range map[string]lookedUp{
		"192.0.2.66":   {Verdict: "listed", Codes: []string{"127.0.0.2"}, Text: "answered with 127.0.0.2"},
		"192.0.2.67":   {Verdict: "exempt", Rule: "some"},
		"192.0.2.1":    {Verdict: "unlisted"},
		"2001:db8::66": {Verdict: "listed", Codes: []string{"127.0.0.3"}, Text: "answered with 127.0.0.3"},
	} {
		var got []lookedUp
		out := proxy.succeed(t, "lookup", "--json", subject)
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("lookup --json %s: %v\n%s", subject, err, out)
		}
		if len(got) != 1 || got[0].Zone != "bl.example" || got[0].Verdict != want.Verdict || got[0].Rule != want.Rule ||
			want.Text != "" && got[0].Text != want.Text || want.Codes != nil && !slices.Equal(codesOf(got[0].Codes), want.Codes) {
			t.Errorf("lookup --json %s = %s, want %+v", subject, out, want)
		}
	}
	if out := proxy.succeed(t, "lookup", "192.0.2.66"); !strings.Contains(out, "SBL") {
		t.Errorf("lookup does not name the code:\n%s", out)
	}
	if out := proxy.succeed(t, "allow", "list"); !strings.Contains(out, "192.0.2.67") || !strings.Contains(out, "some") {
		t.Errorf("allow list shows\n%s", out)
	}
	if status, out, errs := proxy.command(t, "check"); status != 0 {
		t.Errorf("check of a good configuration: status %d\n%s%s", status, out, errs)
	}
}

// codesOf are the addresses alone, where names follow them.
func codesOf(codes []string) []string {
	var out []string
	for _, c := range codes {
		address, _, _ := strings.Cut(c, " ")
		out = append(out, address)
	}
	return out
}
