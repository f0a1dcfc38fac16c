package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// spfZone is the DNS of a sender whose record needs every kind of term that
// lists get wrong: an include with a hole, a redirect, and a term that can
// only be asked for one address.
const spfZone = `
fax.test.            TXT "v=spf1 -ip4:203.0.113.13 include:_pool.fax.test exists:%{i}._ok.fax.test redirect=_more.fax.test"
_pool.fax.test.      TXT "v=spf1 -ip4:203.0.113.64/26 ip4:203.0.113.0/24 ip6:2001:db8:fa::/48 -all"
_more.fax.test.      TXT "v=spf1 mx:fax.test -all"
fax.test.            MX 10 out.fax.test.
out.fax.test.        A 198.51.100.25
192.0.2.50._ok.fax.test. A 127.0.0.2
all.test.            TXT "v=spf1 +all"
`

// TestSPF lists everybody and lets the SPF record of one domain through.
func TestSPF(t *testing.T) {
	t.Parallel()
	const name = "bl.example"
	clients := []struct{ name, client, want string }{
		{"first of the include", "203.0.113.0", "accept"},
		{"last before the hole", "203.0.113.63", "accept"},
		{"first in the hole of the include", "203.0.113.64", "reject"},
		{"last in the hole of the include", "203.0.113.127", "reject"},
		{"first after the hole", "203.0.113.128", "accept"},
		{"excluded before the include", "203.0.113.13", "reject"},
		{"beside it", "203.0.113.14", "accept"},
		{"MX of the redirect", "198.51.100.25", "accept"},
		{"beside the MX", "198.51.100.26", "reject"},
		{"exists for this address", "192.0.2.50", "accept"},
		{"exists not for the next", "192.0.2.51", "reject"},
		{"IPv6 of the include", "2001:db8:fa::1", "accept"},
		{"IPv6 beside the include", "2001:db8:fb::1", "reject"},
	}
	// All of them are listed, one by one: a list with the whole of TEST-NET
	// would be taken for one that lists the world.
	four, six := ":127.0.0.2:listed $\n127.0.0.2\n", ":127.0.0.2:listed $\n::ffff:7f00:2\n"
	for _, c := range clients {
		if strings.Contains(c.client, ":") {
			six += c.client + "\n"
		} else {
			four += c.client + "\n"
		}
	}
	list := startRbldnsd(t, map[string]string{"four": four, "six": six}, name+":ip4set:four", name+":ip6trie:six")
	authority := startAuthority(t, 5400, spfZone)
	proxy := startProxy(t, ProxyOptions{
		Port53:   true,
		Resolver: []netip.AddrPort{authority.Addr},
		Config:   zone(name, "", list.Addr) + "[allow.fax]\nspf = [\"fax.test\"]\n[allow.broad]\nspf = [\"all.test\"]\n",
	})
	mail := startPostfix(t, PostfixOptions{
		Nameserver: proxy.Addr.Addr(),
		Client:     "reject_rbl_client " + name,
	})
	for _, c := range clients {
		reply := mail.deliver(t, c.client)
		if c.want == "accept" {
			accepted(t, c.name+" "+c.client, reply)
		} else {
			rejected(t, c.name+" "+c.client, reply, "listed "+c.client)
		}
	}
	if !strings.Contains(proxy.Output(), "all.test") {
		t.Errorf("nothing in the log about all.test, whose record allows everybody")
	}
	if got := verdict(t, proxy.Addr, "203.0.113.64", name); got != "listed 127.0.0.2" {
		t.Errorf("with a rule for a domain that allows everybody, a listed address is %s", got)
	}
	out := proxy.succeed(t, "spf", "fax.test", "--ip", "203.0.113.5", "--resolver", authority.Addr.String())
	if !strings.HasPrefix(out, "pass") {
		t.Errorf("spf --ip 203.0.113.5 prints %q, want pass first", out)
	}
}

// TestSPF_keptOverRestart starts while DNS is down and still exempts whom it
// exempted before.
func TestSPF_keptOverRestart(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"203.0.113.5": "127.0.0.2", "203.0.113.70": "127.0.0.2"})
	authority := startAuthority(t, 5400, spfZone)
	proxy := startProxy(t, ProxyOptions{
		Resolver: []netip.AddrPort{authority.Addr},
		Top:      `state = "state"`,
		Config:   zone("bl.example", "", list.Addr) + "[allow.fax]\nspf = [\"fax.test\"]\n",
	})
	check := func(when string) {
		t.Helper()
		verdicts(t, when, proxy.Addr, "bl.example", map[string]string{"203.0.113.5": "unlisted", "203.0.113.70": "listed 127.0.0.2"})
	}
	check("first start")
	proxy.stop(t)
	for _, name := range []string{"fax.test", "_pool.fax.test", "_more.fax.test"} {
		authority.Fail(name, 2)
	}
	started := awake()()
	proxy.launch(t)
	if took := since(started); took > 10*time.Second {
		t.Errorf("with DNS down the start took %v, 5s are promised", took)
	}
	check("restart while DNS fails")
}
