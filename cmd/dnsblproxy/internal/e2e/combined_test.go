package e2e

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestCombined: a mail server that knows no weights rejects with one
// reject_rbl_client whoever reaches the threshold, and nobody below.
func TestCombined(t *testing.T) {
	t.Parallel()
	entry := func(code string, addrs ...string) string {
		return ":" + code + ":listed for a test\n127.0.0.2\n" + strings.Join(addrs, "\n") + "\n"
	}
	list := startRbldnsd(t, map[string]string{
		"one": entry("127.0.0.2", "198.51.100.1", "198.51.100.3", "198.51.100.4", "198.51.100.5", "198.51.100.6"),
		// Its codes from 127.0.0.10 on weigh less.
		"two":       entry("127.0.0.4", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5", "198.51.100.6"),
		"twoPolicy": entry("127.0.0.10", "198.51.100.7"),
		"white":     entry("127.0.5.1", "198.51.100.4"),
	}, "one.example:ip4set:one", "two.example:ip4set:two", "two.example:ip4set:twoPolicy", "white.example:ip4set:white")
	gone := startFaulty(t, "gone.example")
	gone.Set(faultNamed("silent"))
	const name = "score.rbl.internal"
	proxy := startProxy(t, ProxyOptions{Port53: true, Hurried: true, Config: zone("one.example", "", list.Addr) +
		zone("two.example", `no_override = ["127.0.0.4"]`, list.Addr) +
		zone("white.example", `kind = "allow"`, list.Addr) +
		zone("gone.example", "", gone.Addr) + `
[zone."` + name + `"]
source = "combined"
threshold = 4
weights = { "one.example" = 2, "two.example" = 2, "two.example=127.0.0.10" = 1, "white.example" = -3, "gone.example" = 9 }
[allow.partner]
cidr = ["198.51.100.5"]
zones = ["one.example"]
[allow.everywhere]
cidr = ["198.51.100.6"]
`})
	mail := startPostfix(t, PostfixOptions{Nameserver: proxy.Addr.Addr(), Client: "reject_rbl_client " + name})
	tests := []struct{ name, client, want string }{ // "" accepts, else the text
		{"on one list", "198.51.100.1", ""},
		{"on the other list", "198.51.100.2", ""},
		{"on both", "198.51.100.3", "score 4 of 4: one.example 127.0.0.2 (+2), two.example 127.0.0.4 (+2)"},
		{"on both, and on the allowlist", "198.51.100.4", ""},
		{"on both, and exempt on one", "198.51.100.5", ""},
		{"on both, exempt everywhere, with a code beyond exemptions", "198.51.100.6", ""},
		{"a code that weighs less", "198.51.100.7", ""},
		{"on none", "198.51.100.9", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := mail.deliver(t, tt.client)
			if tt.want == "" {
				accepted(t, tt.client, reply)
			} else {
				rejected(t, tt.client, reply, "blocked using "+name, tt.want)
			}
		})
	}

	// The same at another threshold: what goes on counting is seen.
	proxy.reload(t, strings.Replace(read(t, proxy.configFile())[strings.Index(read(t, proxy.configFile()), "[zone."):], "threshold = 4", "threshold = 2", 1))
	becomes(t, exemptWithin, proxy.Addr, "198.51.100.1", name, "listed 127.0.0.2")
	verdicts(t, "with a threshold of 2", proxy.Addr, name, map[string]string{
		"198.51.100.4": "unlisted", "198.51.100.5": "listed 127.0.0.2", "198.51.100.6": "listed 127.0.0.2", "198.51.100.7": "unlisted",
	})
	if got := texts(t, proxy.Addr, "198.51.100.6", name); len(got) != 1 || got[0] != "score 2 of 2: two.example 127.0.0.4 (+2)" {
		t.Errorf("the text is %q", got)
	}
	if got := verdict(t, proxy.Addr, "127.0.0.2", name); got != "listed 127.0.0.2" {
		t.Errorf("the test entry is %s", got)
	}
	if m := ask(t, proxy.Addr, reverse("198.51.100.9", name), dns.TypeTXT); m.Rcode != dns.RcodeNameError {
		t.Errorf("TXT of an unlisted address is %s", summary(m))
	}
}
