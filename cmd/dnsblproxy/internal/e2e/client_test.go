package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// clientTimeout is how long a question of a test waits: longer than any
// deadline of the proxy, and than a machine stands still.
const clientTimeout = 40 * time.Second

// reverse is the DNSBL name of an address (RFC 5782, sections 2.1 and 2.4) or
// of a domain (section 3) in a zone.
func reverse(subject, zone string) string {
	addr, err := netip.ParseAddr(subject)
	if err != nil {
		return subject + "." + dns.Fqdn(zone)
	}
	arpa, err := dns.ReverseAddr(addr.String())
	if err != nil {
		panic(err) // ParseAddr took it
	}
	arpa = strings.TrimSuffix(strings.TrimSuffix(arpa, "in-addr.arpa."), "ip6.arpa.")
	return arpa + dns.Fqdn(zone)
}

// exchange asks one question over network ("udp" or "tcp").
func exchange(network string, server netip.AddrPort, m *dns.Msg) (*dns.Msg, time.Duration, error) {
	c := dns.Client{Net: network, Timeout: clientTimeout, UDPSize: 4096}
	return c.Exchange(m, server.String())
}

// ask asks over UDP, without EDNS, and fails the test without an answer.
func ask(t testing.TB, server netip.AddrPort, name string, qtype uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	answer, _, err := exchange("udp", server, m)
	if err != nil {
		t.Fatalf("asking %v for %s %s: %v", server, name, dns.TypeToString[qtype], err)
	}
	return answer
}

// answers is a readiness check: the server answers anything at all.
func answers(server netip.AddrPort, name string) func() error {
	return func() error {
		c := dns.Client{Timeout: time.Second}
		_, _, err := c.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), server.String())
		return err
	}
}

// verdict says in one word how a zone answers for a subject: "unlisted",
// "listed CODE..." with the codes sorted, or "failed RCODE".
func verdict(t testing.TB, server netip.AddrPort, subject, zone string) string {
	t.Helper()
	return summary(ask(t, server, reverse(subject, zone), dns.TypeA))
}

func summary(m *dns.Msg) string {
	switch {
	case m.Rcode == dns.RcodeNameError:
		return "unlisted"
	case m.Rcode != dns.RcodeSuccess:
		return "failed " + dns.RcodeToString[m.Rcode]
	}
	var codes []string
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			codes = append(codes, a.A.String())
		}
	}
	if len(codes) == 0 {
		return "nodata"
	}
	slices.Sort(codes)
	return "listed " + strings.Join(codes, " ")
}

// verdicts fails the test unless the zone answers for each subject with what
// is wanted.
func verdicts(t testing.TB, when string, server netip.AddrPort, zone string, want map[string]string) {
	t.Helper()
	for subject, want := range want {
		if got := verdict(t, server, subject, zone); got != want {
			t.Errorf("%s: %s is %s, want %s", when, subject, got, want)
		}
	}
}

// becomes waits until the zone answers with want.
func becomes(t testing.TB, timeout time.Duration, server netip.AddrPort, subject, zone, want string) {
	t.Helper()
	eventually(t, timeout, fmt.Sprintf("%s in %s to be %s", subject, zone, want), func() error {
		if got := verdict(t, server, subject, zone); got != want {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// texts are the strings of the TXT answer, one a record.
func texts(t testing.TB, server netip.AddrPort, subject, zone string) []string {
	t.Helper()
	var out []string
	for _, rr := range ask(t, server, reverse(subject, zone), dns.TypeTXT).Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			out = append(out, strings.Join(txt.Txt, ""))
		}
	}
	return out
}
