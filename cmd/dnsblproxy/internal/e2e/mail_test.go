package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// exemptWithin is how long an edited rule file may take to be in force.
const exemptWithin = 3 * time.Second

// TestMail is the main job: a mail server rejects what a real list has, with
// the list's text, and stops rejecting an address once it is exempt, while
// nobody touches the mail server.
func TestMail(t *testing.T) {
	t.Parallel()
	sum := loadIpsum(t)
	const name = "bl.example"
	list := startIpsum(t, sum, name)
	proxy := startProxy(t, ProxyOptions{
		Port53: true,
		Config: zone(name, `no_override = ["127.0.0.4"]`, list.Addr) + `
[allow.partners]
file = "allow.d/partners.txt"
[allow.six]
cidr = ["2001:db8:bad:1::/64"]
`,
		Files: map[string]string{"allow.d/partners.txt": "# partners, by hand\n192.0.2.200\n"},
	})
	mail := startPostfix(t, PostfixOptions{
		Nameserver: proxy.Addr.Addr(),
		Client:     "reject_rbl_client " + name,
	})
	spammer, spared := sum.with(t, codeSpammer, 0), sum.with(t, codeSpammer, 1)
	exploit, both := sum.with(t, codeExploit, 0), sum.addrs[0].String()

	rejected(t, spammer, mail.deliver(t, spammer), "blocked using "+name, "SPAMMER lists it, see https://bl.example/lookup?ip="+spammer)
	rejected(t, spared, mail.deliver(t, spared), "blocked using "+name, "SPAMMER lists it", "ip="+spared)
	accepted(t, "192.0.2.1", mail.deliver(t, "192.0.2.1"))
	rejected(t, "2001:db8:bad::1", mail.deliver(t, "2001:db8:bad::1"), "SPAMMER lists it")
	accepted(t, "2001:db8:bad:1::1", mail.deliver(t, "2001:db8:bad:1::1"))

	proxy.succeed(t, "allow", "add", "--rule", "partners", "--comment", "their relay", spammer, exploit, both)
	becomes(t, exemptWithin, proxy.Addr, spammer, name, "unlisted")
	accepted(t, spammer, mail.deliver(t, spammer))
	rejected(t, spared, mail.deliver(t, spared), "ip="+spared)
	rejected(t, exploit, mail.deliver(t, exploit), "blocked using "+name, "EXPLOIT lists it", "ip="+exploit)
	rejected(t, both, mail.deliver(t, both), "blocked using "+name, "EXPLOIT lists it")
	if got := verdict(t, proxy.Addr, both, name); got != "listed "+codeExploit {
		t.Errorf("an exempt address in two sources is %s, want the code of no_override alone", got)
	}

	proxy.succeed(t, "allow", "remove", "--rule", "partners", spammer)
	becomes(t, exemptWithin, proxy.Addr, spammer, name, "listed "+codeSpammer)
	rejected(t, spammer, mail.deliver(t, spammer), "ip="+spammer)
	if text := read(t, proxy.dir+"/allow.d/partners.txt"); !strings.HasPrefix(text, "# partners, by hand\n192.0.2.200\n") {
		t.Errorf("the rule file was rewritten, its own lines are gone:\n%s", text)
	}
	eventually(t, soon, "the saved mail to be counted", func() error {
		if proxy.metric(t, "dnsblproxy_exempted_listings_total", `zone="bl.example"`, `rule="partners"`) == 0 {
			return fmt.Errorf("dnsblproxy_exempted_listings_total is 0")
		}
		return nil
	})
}

// TestMail_keyedZone has a list whose zone holds a customer's key, which the
// list even puts into its texts. Nobody but the list may see it.
func TestMail_keyedZone(t *testing.T) {
	t.Parallel()
	const key = "k3yk3yk3yk3yk3yk3yk3y"
	keyed := key + ".dq.example"
	list := startRbldnsd(t, map[string]string{"set": "$SOA 3000 ns." + keyed + " hostmaster." + keyed + " 0 600 300 86400 120\n" +
		":127.0.0.2:https://dq.example/?zone=" + keyed + "&key=" + key + "&ip=$\n127.0.0.2\n192.0.2.66\n192.0.2.67\n"},
		keyed+":ip4set:set")
	proxy := startProxy(t, ProxyOptions{
		Port53: true,
		Env:    []string{"DQ_KEY=" + key},
		Top:    "[log]\nlevel = \"debug\"",
		Config: `[zone."dq.rbl.internal"]
upstream = "${DQ_KEY}.dq.example"
via = ` + quoted(list.Addr) + `
[allow.one]
cidr = ["192.0.2.67"]
`,
	})
	mail := startPostfix(t, PostfixOptions{
		Nameserver: proxy.Addr.Addr(),
		Client:     "reject_rbl_client dq.rbl.internal",
	})
	refusal := mail.deliver(t, "192.0.2.66")
	rejected(t, "192.0.2.66", refusal, "blocked using dq.rbl.internal", "ip=192.0.2.66")
	accepted(t, "192.0.2.67", mail.deliver(t, "192.0.2.67"))
	list.stop(t) // and what the failure is called
	failed := ask(t, proxy.Addr, reverse("192.0.2.68", "dq.rbl.internal"), dns.TypeA)

	_, check, checkErr := proxy.command(t, "check")
	_, lookup, lookupErr := proxy.command(t, "lookup", "192.0.2.66")
	_, lookupJSON, _ := proxy.command(t, "lookup", "--json", "192.0.2.66")
	root := folder(t)
	write(t, root, "etc/resolv.conf", fmt.Sprintf("nameserver %s\n", proxy.Addr.Addr()))
	write(t, root, "etc/postfix/main.cf", "smtpd_client_restrictions = reject_rbl_client dq.rbl.internal\n")
	_, doctor, doctorErr := proxy.command(t, "doctor", "--root", root)
	for where, text := range map[string]string{
		"the SMTP reply":      refusal,
		"the mail log":        mail.Log(t),
		"the TXT answer":      ask(t, proxy.Addr, reverse("192.0.2.66", "dq.rbl.internal"), dns.TypeTXT).String(),
		"a negative answer":   ask(t, proxy.Addr, reverse("192.0.2.1", "dq.rbl.internal"), dns.TypeA).String(),
		"a failed answer":     failed.String(),
		"the apex":            ask(t, proxy.Addr, "dq.rbl.internal", dns.TypeSOA).String(),
		"the log":             proxy.Output(),
		"/metrics":            proxy.page(t, "/metrics"),
		"/api/v1/zones":       proxy.page(t, "/api/v1/zones"),
		"/api/v1/lookup":      proxy.page(t, "/api/v1/lookup?q=192.0.2.66"),
		"the check command":   check + checkErr,
		"the lookup command":  lookup + lookupJSON + lookupErr,
		"the doctor command":  doctor + doctorErr,
		"the first page":      proxy.page(t, "/"),
		"the allow list":      proxy.succeed(t, "allow", "list"),
		"the exported allows": proxy.succeed(t, "allow", "export"),
	} {
		if strings.Contains(strings.ToLower(text), key) {
			t.Errorf("%s holds the key:\n%s", where, text)
		}
	}
	if !strings.Contains(lookup, "192.0.2.66") {
		t.Errorf("lookup printed nothing about the address:\n%s%s", lookup, lookupErr)
	}
}
