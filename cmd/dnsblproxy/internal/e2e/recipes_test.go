package e2e

import (
	"testing"
)

// recipeRules are the tables beside a list's zone in these tests.
const recipeRules = "[allow.some]\nfile = \"some.txt\"\n"

// TestRecipe_exim refuses a listed client with the list's text, and takes its
// mail once it is exempt or the list is dead.
func TestRecipe_exim(t *testing.T) {
	t.Parallel()
	sum := loadIpsum(t)
	const name = "bl.example"
	list := startIpsum(t, sum, name)
	proxy := startProxy(t, ProxyOptions{
		Port53: true,
		Config: zone(name, "", list.Addr) + recipeRules,
		Files:  map[string]string{"some.txt": ""},
	})
	exim := prepareExim(t, name, proxy.Addr.Addr())
	spammer, other := sum.with(t, codeSpammer, 0), sum.with(t, codeSpammer, 1)
	rejected(t, spammer, exim.deliver(t, spammer), spammer+" blocked using "+name, "SPAMMER lists it", "ip="+spammer)
	accepted(t, "192.0.2.1", exim.deliver(t, "192.0.2.1"))
	rejected(t, "2001:db8:bad::1", exim.deliver(t, "2001:db8:bad::1"), "SPAMMER lists it")
	accepted(t, "2001:db8:600d::1", exim.deliver(t, "2001:db8:600d::1"))

	proxy.succeed(t, "allow", "add", "--rule", "some", spammer)
	becomes(t, exemptWithin, proxy.Addr, spammer, name, "unlisted")
	accepted(t, spammer, exim.deliver(t, spammer))
	list.stop(t)
	accepted(t, other, exim.deliver(t, other))
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
			r := startRspamd(t, name, p.Addr.Addr())
			return func(client string) bool { return r.lists(t, client) }
		}},
		{"spamassassin", func(t *testing.T, p *Proxy) func(string) bool {
			s := prepareSpamAssassin(t, name, p.Addr.Addr())
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
