package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestDirect asks a list at its own name servers, found by the delegation in
// a small real tree: NSD as root and as the domain above, two servers of the
// list of which one is dead. The resolver refuses the list's own names, so
// only who asks the servers gets an answer.
func TestDirect(t *testing.T) {
	t.Parallel()
	root, tld, alive, dead := freeIP(t), freeIP(t), freeIP(t), freeIP(t)
	startNSD(t, root, ".", fmt.Sprintf(`. SOA a.root. hostmaster.root. 1 600 300 86400 60
. NS a.root.
a.root. A %s
test. NS ns.nic.test.
ns.nic.test. A %s
`, root, tld))
	startNSD(t, tld, "test", fmt.Sprintf(`test. SOA ns.nic.test. hostmaster.nic.test. 1 600 300 86400 60
test. NS ns.nic.test.
ns.nic.test. A %s
bl.test. NS ns1.bl.test.
bl.test. NS ns2.bl.test.
ns1.bl.test. A %s
ns2.bl.test. A %s
`, tld, dead, alive))
	var listed strings.Builder
	for n := 0; n < 20; n += 2 {
		fmt.Fprintf(&listed, "192.0.2.%d\n", n)
	}
	startRbldnsdAt(t, netip.AddrPortFrom(alive, 53), map[string]string{
		"set": "$SOA 3000 ns2.bl.test hostmaster.bl.test 0 600 300 86400 120\n$NS 3000 ns1.bl.test ns2.bl.test\n" +
			":127.0.0.2:listed $\n127.0.0.2\n" + listed.String(),
	}, "bl.test:ip4set:set")
	resolver := startUnbound(t, 53000, strings.Join([]string{
		"\tdo-not-query-localhost: no", "\tmodule-config: \"iterator\"", "\tlocal-zone: \"bl.test\" refuse",
		fmt.Sprintf("\troot-hints: %q", write(t, folder(t), "hints", fmt.Sprintf(". 3600 NS a.root.\na.root. 3600 A %s\n", root))), "",
	}, "\n"), "")
	proxy := startProxy(t, ProxyOptions{
		Resolver: []netip.AddrPort{resolver},
		Config:   "[zone.\"bl.rbl.internal\"]\nupstream = \"bl.test\"\nvia = \"direct\"\n",
	})
	for n := range 20 {
		subject, want := fmt.Sprintf("192.0.2.%d", n), "listed 127.0.0.2"
		if n%2 == 1 {
			subject, want = fmt.Sprintf("198.51.100.%d", n), "unlisted"
		}
		if got := verdict(t, proxy.Addr, subject, "bl.rbl.internal"); got != want {
			t.Errorf("%s asked directly is %s, want %s", subject, got, want)
		}
	}
	if got := texts(t, proxy.Addr, "192.0.2.4", "bl.rbl.internal"); len(got) != 1 || got[0] != "listed 192.0.2.4" {
		t.Errorf("TXT asked directly = %q", got)
	}
}
