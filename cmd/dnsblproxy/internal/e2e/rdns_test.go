package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// reverseZones are PTR zones of every kind and what their names lead to, as
// an authority serves them. unbound asks it, and nobody, and one that refuses.
func reverseZones() map[string]string {
	soa := "@ SOA ns.hosts.example. hostmaster.hosts.example. 1 600 300 86400 60\n@ NS ns.hosts.example.\n"
	var ten, eleven strings.Builder
	for i := range 11 {
		fmt.Fprintf(&eleven, "6 PTR many%d.hosts.example.\n", i)
		if i < 10 {
			fmt.Fprintf(&ten, "11 PTR many%d.hosts.example.\n", i)
		}
	}
	zones := map[string]string{
		"2.0.192.in-addr.arpa": `
1 PTR good.hosts.example.
3 PTR lost.hosts.example.
3 PTR three.hosts.example.
3 PTR gone.hosts.example.
4 PTR lost.hosts.example.
5 PTR gone.hosts.example.
` + eleven.String() + ten.String() + `
7 CNAME 7.0-15.hosts.example.
8 CNAME 8.0-15.hosts.example.
9 CNAME 9.0-15.hosts.example.
12 PTR one.broken.example.
13 PTR one.silent.example.
14 PTR one.broken.example.
14 PTR fourteen.hosts.example.
15 PTR alias.hosts.example.
`,
		"8.b.d.0.1.0.0.2.ip6.arpa": `
$ORIGIN 0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.
1 PTR good.hosts.example.
3 PTR lost.hosts.example.
7 CNAME 7v6.0-15.hosts.example.
`,
		"hosts.example": `
ns A 192.0.2.53
good A 192.0.2.1
good A 192.0.2.250
good AAAA 2001:db8::1
lost A 192.0.2.99
lost AAAA 2001:db8::99
three A 192.0.2.3
many0 A 192.0.2.99
many9 A 192.0.2.11
many10 A 192.0.2.99
7.0-15 PTR seven.hosts.example.
8.0-15 PTR lost.hosts.example.
7v6.0-15 PTR seven.hosts.example.
seven A 192.0.2.7
seven AAAA 2001:db8::7
fourteen A 192.0.2.14
alias CNAME fifteen
fifteen A 192.0.2.15
`,
	}
	for zone, records := range zones {
		zones[zone] = soa + records
	}
	return zones
}

// startReverse serves the zones by NSD, and puts unbound in front of it.
func startReverse(t *testing.T) netip.AddrPort {
	t.Helper()
	authority := freeIP(t)
	startNSD(t, authority, reverseZones())
	silent, err := net.ListenPacket("udp", net.JoinHostPort(freeIP(t).String(), "53")) // takes questions
	if err != nil {
		missing(t, err.Error())
	}
	t.Cleanup(func() { silent.Close() })

	var server, stubs strings.Builder
	server.WriteString("\tdo-not-query-localhost: no\n")
	stub := func(zone, addr string) {
		fmt.Fprintf(&server, "\tlocal-zone: %q nodefault\n\tdomain-insecure: %q\n", zone, zone)
		fmt.Fprintf(&stubs, "stub-zone:\n\tname: %q\n\tstub-addr: %s\n", zone, addr)
	}
	for zone := range reverseZones() {
		stub(zone, authority.String())
	}
	stub("broken.example", authority.String())          // which refuses it
	stub("100.51.198.in-addr.arpa", authority.String()) // likewise
	silentIP, _, _ := net.SplitHostPort(silent.LocalAddr().String())
	stub("silent.example", silentIP)
	stub("113.0.203.in-addr.arpa", silentIP)
	return startUnbound(t, 53000, server.String(), stubs.String())
}

// TestReverse has a zone of missing reverse DNS look at zones of every kind
// through a real resolver. Nothing that fails is a listing.
func TestReverse(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const zone = "rdns.rbl.internal"
	o := ProxyOptions{Resolver: []netip.AddrPort{startReverse(t)}, Config: `
[zone."` + zone + `"]
source = "rdns"
on_failure = "servfail"
[allow.partner]
cidr = ["192.0.2.10", "2001:db8::2:0/112"]
`}
	patient := startProxy(t, o)
	o.Hurried = true
	hurried := startProxy(t, o)
	const nameless, unconfirmed = "listed 127.0.0.2", "listed 127.0.0.3"
	tests := []struct{ name, addr, want string }{
		{"a name that leads back", "192.0.2.1", "unlisted"},
		{"no name", "192.0.2.2", nameless},
		{"one of three names leads back", "192.0.2.3", "unlisted"},
		{"the name leads elsewhere", "192.0.2.4", unconfirmed},
		{"the name does not exist", "192.0.2.5", unconfirmed},
		{"eleven names", "192.0.2.6", "unlisted"},
		{"ten names, the last leads back", "192.0.2.11", "unlisted"},
		{"CNAME as in RFC 2317", "192.0.2.7", "unlisted"},
		{"CNAME to a name that leads elsewhere", "192.0.2.8", unconfirmed},
		{"CNAME to nothing", "192.0.2.9", nameless},
		{"no name, and exempt", "192.0.2.10", "unlisted"},
		{"the name's zone is SERVFAIL", "192.0.2.12", "unlisted"},
		{"the name's zone is silent", "192.0.2.13", "unlisted"},
		{"one name SERVFAIL, one leads back", "192.0.2.14", "unlisted"},
		{"the name is an alias", "192.0.2.15", "unlisted"},
		{"the reverse zone is SERVFAIL", "198.51.100.1", "unlisted"},
		{"the reverse zone is silent", "203.0.113.1", "unlisted"},
		{"IPv6: a name that leads back", "2001:db8::1", "unlisted"},
		{"IPv6: no name", "2001:db8::2", nameless},
		{"IPv6: the name leads elsewhere", "2001:db8::3", unconfirmed},
		{"IPv6: CNAME", "2001:db8::7", "unlisted"},
		{"IPv6: no name, and exempt", "2001:db8::2:1", "unlisted"},
		{"the test entry", "127.0.0.2", nameless},
		{"the entry that no list has", "127.0.0.1", "unlisted"},
	}
	// A name has no reverse DNS to miss, which is no failure: that lasts half as long.
	if m := ask(t, patient.Addr, "example.com."+zone, dns.TypeA); m.Rcode != dns.RcodeNameError || leastTTL(m.Ns) != 60 {
		t.Errorf("a domain: %v, want NXDOMAIN for 60 s", m)
	}
	// A listing lives as long as what it rests on.
	m := ask(t, patient.Addr, reverse("192.0.2.4", zone), dns.TypeA)
	if ttl := leastTTL(m.Answer); ttl > 60 || ttl < 30 {
		t.Errorf("the TTL is %d, want that of the reverse zone, 60", ttl)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy := patient
			if strings.HasSuffix(tt.name, "silent") {
				proxy = hurried
			}
			start := awake()()
			if got := verdict(t, proxy.Addr, tt.addr, zone); got != tt.want {
				t.Errorf("%s is %s, want %s", tt.addr, got, tt.want)
			}
			if took := since(start); took > 5*time.Second { // as long as a mail server waits
				t.Errorf("the answer took %v", took)
			}
			text := strings.Join(texts(t, proxy.Addr, tt.addr, zone), "")
			if listed := tt.want != "unlisted"; listed != (text != "") {
				t.Errorf("the text is %q", text)
			} else if listed && tt.addr != "127.0.0.2" && (!strings.Contains(text, "PTR") || !strings.Contains(text, tt.addr)) {
				t.Errorf("the text %q does not say what to set up for the address", text)
			}
		})
	}
}
