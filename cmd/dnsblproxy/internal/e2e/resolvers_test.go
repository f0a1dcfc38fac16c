package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestInFront is the usual place of the proxy: the mail server asks the local
// resolver, which forwards the zone.
func TestInFront(t *testing.T) {
	t.Parallel()
	const name = "bl.example"
	for _, front := range []struct {
		name   string
		caches bool // it has no way to leave a zone out of its cache
		start  func(t *testing.T, proxy netip.AddrPort) netip.AddrPort
	}{
		{"unbound", false, func(t *testing.T, p netip.AddrPort) netip.AddrPort { return unboundFront(t, 5400, name, p) }},
		{"dnsmasq", true, func(t *testing.T, p netip.AddrPort) netip.AddrPort { return startDnsmasq(t, name, p) }},
		{"bind", true, func(t *testing.T, p netip.AddrPort) netip.AddrPort { return startBind(t, name, p) }},
		{"pdns-recursor", true, func(t *testing.T, p netip.AddrPort) netip.AddrPort { return startRecursor(t, name, p) }},
		{"systemd-resolved", false, func(t *testing.T, p netip.AddrPort) netip.AddrPort { return startResolved(t, name, p) }},
	} {
		t.Run(front.name, func(t *testing.T) {
			t.Parallel()
			sum := loadIpsum(t)
			list := startIpsum(t, sum, name)
			more, seenWithin := "", exemptWithin
			if front.caches {
				more, seenWithin = "[cache]\nmax_ttl = \"2s\"\n", exemptWithin+4*time.Second
			}
			proxy := startProxy(t, ProxyOptions{
				Config: zone(name, "", list.Addr) + "[allow.some]\nfile = \"some.txt\"\n" + more,
				Files:  map[string]string{"some.txt": "192.0.2.1\n"},
			})
			resolver := front.start(t, proxy.Addr)
			spammer := sum.with(t, codeSpammer, 0)
			askPartial(t, resolver, spammer, name)
			verdicts(t, "through "+front.name, resolver, name, map[string]string{
				spammer:           "listed " + codeSpammer,
				"2001:db8:bad::9": "listed 127.0.0.2",
				"2001:db8::9":     "unlisted",
				"192.0.2.1":       "unlisted",
			})
			want := "SPAMMER lists it, see https://bl.example/lookup?ip=" + spammer
			if got := texts(t, resolver, spammer, name); len(got) != 1 || got[0] != want {
				t.Errorf("TXT = %q, want %q", got, want)
			}
			proxy.succeed(t, "allow", "add", "--rule", "some", spammer)
			becomes(t, seenWithin, resolver, spammer, name, "unlisted")
		})
	}
}

// askPartial asks for what stands above an address. A resolver that minimises
// names does that first, and an NXDOMAIN would hide everything below (RFC 8020).
func askPartial(t *testing.T, resolver netip.AddrPort, subject, zone string) {
	t.Helper()
	ip := netip.MustParseAddr(subject).As4()
	for _, partial := range []string{
		fmt.Sprintf("%d", ip[0]),
		fmt.Sprintf("%d.%d", ip[1], ip[0]),
		fmt.Sprintf("%d.%d.%d", ip[2], ip[1], ip[0]),
	} {
		if m := ask(t, resolver, partial+"."+zone, dns.TypeA); m.Rcode != dns.RcodeSuccess {
			t.Errorf("%s.%s is %s, want NODATA", partial, zone, dns.RcodeToString[m.Rcode])
		}
	}
}

// TestUnbound_behind has the proxy ask the list through a recursive resolver,
// named for the zone (via) and as [resolver] with names of other zones too.
func TestUnbound_behind(t *testing.T) {
	t.Parallel()
	sum := loadIpsum(t)
	const name = "bl.example"
	list := startIpsum(t, sum, name)
	resolver := unboundBehind(t, name, list.Addr)
	spammer := sum.with(t, codeSpammer, 0)
	for _, c := range []struct{ name, config string }{
		{"via", zone(name, "", resolver)},
		{"resolver", fmt.Sprintf("[zone.%q]\n", name)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			proxy := startProxy(t, ProxyOptions{Config: c.config, Resolver: []netip.AddrPort{resolver}})
			for range 2 { // cold, warm
				if got := verdict(t, proxy.Addr, spammer, name); got != "listed "+codeSpammer {
					t.Errorf("a listed address is %s", got)
				}
				if got := verdict(t, proxy.Addr, "192.0.2.1", name); got != "unlisted" {
					t.Errorf("an unlisted address is %s", got)
				}
			}
			// A name outside the zones goes to the resolver, unchanged.
			m := ask(t, proxy.Addr, "localhost", dns.TypeA)
			if summary(m) != "listed 127.0.0.1" {
				t.Errorf("localhost through the proxy: %v", m)
			}
		})
	}
}

// TestLoop has a resolver that forwards the proxy's zone back to the proxy,
// which must be found at start, not by questions that go round.
func TestLoop(t *testing.T) {
	t.Parallel()
	const name = "bl.example"
	proxy := prepareProxy(t, ProxyOptions{})
	resolver := unboundFront(t, 5400, name, proxy.Addr)
	proxy.o.Resolver = []netip.AddrPort{resolver}
	proxy.writeConfig(t, fmt.Sprintf("[zone.%q]\n", name))
	line := lineOf(t, proxy.configFile(), "[zone.")
	eventually(t, soon, "a start to end", func() error {
		p := startProcess(t, nil, program(), "serve", "--config", proxy.configFile())
		err := poll(10*time.Second, func() error {
			if !p.Exited() {
				return errors.New("it serves") // it looks for 1.5 s, in which the machine may stand still
			}
			return nil
		})
		if err != nil {
			p.stop(t)
			return err
		}
		if code := p.Wait(t, stopTimeout); code != 2 {
			t.Errorf("serve left with status %d, want 2", code)
		}
		if err := mentions(p.Output(), fmt.Sprintf("config.toml:%d", line), name, "via"); err != nil {
			t.Error(err)
		}
		return nil
	})
}
