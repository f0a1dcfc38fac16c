package e2e

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// recipeRules are the tables beside a list's zone in these tests.
const recipeRules = "[allow.some]\nfile = \"some.txt\"\n"

// TestRecipe_mail has mail servers refuse a listed client, and take its mail
// once it is exempt or the list is dead.
func TestRecipe_mail(t *testing.T) {
	t.Parallel()
	const name = "bl.example"
	for _, server := range []struct {
		name  string
		says  string // in a refusal, beside the client's address
		start func(t *testing.T, p *Proxy) func(client string) string
	}{
		{"exim", "blocked using bl.example: SPAMMER lists it", func(t *testing.T, p *Proxy) func(string) string {
			e := prepareExim(t, name, p.Addr)
			return func(client string) string { return e.deliver(t, client) }
		}},
		{"haraka", "is listed on bl.example", func(t *testing.T, p *Proxy) func(string) string {
			h := startHaraka(t, name, p.Addr)
			return func(client string) string { return h.deliver(t, client) }
		}},
	} {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			sum := loadIpsum(t)
			list := startIpsum(t, sum, name)
			proxy := startProxy(t, ProxyOptions{
				Port53: true,
				Config: zone(name, "", list.Addr) + recipeRules,
				Files:  map[string]string{"some.txt": ""},
			})
			deliver := server.start(t, proxy)
			spammer, other := sum.with(t, codeSpammer, 0), sum.with(t, codeSpammer, 1)
			rejected(t, spammer, deliver(spammer), server.says, spammer)
			accepted(t, "198.51.100.1", deliver("198.51.100.1"))
			rejected(t, "2001:db8:bad::1", deliver("2001:db8:bad::1"), server.says)
			accepted(t, "2001:db8:600d::1", deliver("2001:db8:600d::1"))

			proxy.succeed(t, "allow", "add", "--rule", "some", spammer)
			becomes(t, exemptWithin, proxy.Addr, spammer, name, "unlisted")
			accepted(t, spammer, deliver(spammer))
			list.stop(t)
			accepted(t, other, deliver(other))
		})
	}
}

// TestRecipe_filters has mail filters find a client listed, and no longer
// once it is exempt.
func TestRecipe_filters(t *testing.T) {
	t.Parallel()
	const name = "bl.example"
	for _, filter := range []struct {
		name  string
		start func(t *testing.T, p *Proxy) func(client string) bool
	}{
		{"rspamd", func(t *testing.T, p *Proxy) func(string) bool {
			r := startRspamd(t, name, p.Addr)
			return func(client string) bool { return r.lists(t, client) }
		}},
		{"spamassassin", func(t *testing.T, p *Proxy) func(string) bool {
			s := prepareSpamAssassin(t, name, p.Addr)
			return func(client string) bool { return s.lists(t, client) }
		}},
	} {
		t.Run(filter.name, func(t *testing.T) {
			t.Parallel()
			sum := loadIpsum(t)
			list := startIpsum(t, sum, name)
			proxy := startProxy(t, ProxyOptions{
				Config: zone(name, "", list.Addr) + recipeRules,
				Files:  map[string]string{"some.txt": ""},
			})
			lists := filter.start(t, proxy)
			spammer := sum.with(t, codeSpammer, 0)
			for client, want := range map[string]bool{
				spammer:            true,
				"192.0.2.1":        false,
				"2001:db8:bad::9":  true,
				"2001:db8:600d::1": false,
			} {
				if got := lists(client); got != want {
					t.Errorf("%s is listed: %v, want %v", client, got, want)
				}
			}
			proxy.succeed(t, "allow", "add", "--rule", "some", spammer)
			becomes(t, exemptWithin, proxy.Addr, spammer, name, "unlisted")
			if lists(spammer) {
				t.Errorf("%s is listed after its exemption", spammer)
			}
		})
	}
}

// TestRecipe_postfix has README's lines of main.cf, with both ways from
// Postfix to the proxy, and the published allow rules as a negative weight.
func TestRecipe_postfix(t *testing.T) {
	t.Parallel()
	const zen, spamcop, allowed = "zen.spamhaus.org", "bl.spamcop.net", "allowed.rbl.internal"
	data := func(zone, code, text string, addrs ...string) string {
		return "$SOA 3000 ns." + zone + " hostmaster." + zone + " 0 600 300 86400 120\n:" + code + ":" + text + " $\n" + strings.Join(addrs, "\n") + "\n"
	}
	list := startRbldnsd(t, map[string]string{
		"zen":     data(zen, "127.0.0.2", "ZEN lists", "127.0.0.2", "192.0.2.1", "192.0.2.2", "192.0.2.5"),
		"six":     ":127.0.0.2:ZEN lists $\n::ffff:7f00:2\n2001:db8:bad::/48\n",
		"bcl":     data(zen, "127.0.0.30", "ZEN lists", "192.0.2.3"),
		"spamcop": data(spamcop, "127.0.0.2", "SPAMCOP lists", "127.0.0.2", "192.0.2.1", "192.0.2.4"),
	}, zen+":ip4set:zen", zen+":ip4set:bcl", zen+":ip6trie:six", spamcop+":ip4set:spamcop")
	proxy := startProxy(t, ProxyOptions{
		Port53: true,
		Config: zone(zen, "", list.Addr) + zone(spamcop, "", list.Addr) + `
[zone."` + allowed + `"]
source = "allow"
[allow.partner]
cidr = ["192.0.2.2"]
zones = ["` + allowed + `"]
[allow.office]
cidr = ["192.0.2.5"]
zones = ["` + zen + `"]
`,
	})
	lines := readRecipe(t, "Postfix", zen, proxy.Addr).with(t, "smtpd_recipient_restrictions = ")
	client := regexp.MustCompile(`reject_rbl_client \S+`).FindString(lines)
	screen := regexp.MustCompile(`(?m)^postscreen_dnsbl_sites = (.*)$`).FindStringSubmatch(lines)
	weight := regexp.MustCompile(`\S+\*-\d+`).FindString(read(t, projectRoot+"/README.md"))
	if client == "" || screen == nil || !strings.HasPrefix(weight, allowed+"*-") {
		t.Fatalf("README.md has no such lines for Postfix: %q, %q, %q", client, screen, weight)
	}
	front := startUnbound(t, 53, "", readRecipe(t, "unbound", zen, proxy.Addr).with(t, "server:\n")+
		readRecipe(t, "unbound", spamcop, proxy.Addr).with(t, "server:\n")+
		readRecipe(t, "unbound", allowed, proxy.Addr).with(t, "server:\n"))
	for name, nameserver := range map[string]netip.Addr{"spare address": proxy.Addr.Addr(), "resolver in front": front.Addr()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mail := startPostfix(t, PostfixOptions{
				Nameserver: nameserver,
				Client:     client,
				Screen:     screen[1] + ", " + weight,
				Threshold:  3,
			})
			rejected(t, "192.0.2.1", mail.deliver(t, "192.0.2.1"), "blocked using "+zen, "ZEN lists 192.0.2.1")
			accepted(t, "192.0.2.3", mail.deliver(t, "192.0.2.3")) // a code that main.cf does not name
			accepted(t, "192.0.2.9", mail.deliver(t, "192.0.2.9"))
			for client, reject := range map[string]bool{
				"192.0.2.1":        true,
				"2001:db8:bad::7":  true,
				"192.0.2.2":        false, // listed, and a partner
				"192.0.2.4":        false, // below the threshold
				"192.0.2.5":        false, // exempt
				"2001:db8:600d::1": false,
			} {
				t.Run(client, func(t *testing.T) {
					t.Parallel() // postscreen makes each of them wait
					if reply := mail.deliverScreened(t, client); reject {
						rejected(t, client, reply, "blocked using "+zen)
					} else {
						accepted(t, client, reply)
					}
				})
			}
		})
	}
}
