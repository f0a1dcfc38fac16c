package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// insideVariable says that the test runs in a network namespace of its own.
const insideVariable = "DNSBLPROXY_E2E_INSIDE"

// rootServers are two of the Internet's, A and K. In the network namespace of
// TestDirect they are ours; the others cannot be reached there.
var rootServers = [...]string{"198.41.0.4", "193.0.14.129"}

// TestDirect asks a list at its own name servers, found from the root down in
// a small real tree: NSD at root servers' addresses and for the domain above,
// a list with two servers of which one is dead. The tree stands in a network
// namespace of its own, where the addresses are nobody else's.
func TestDirect(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Parallel()
		runInside(t)
		return
	}
	for _, argv := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", rootServers[0], "dev", "lo"}, {"addr", "add", rootServers[1], "dev", "lo"}} {
		if out, err := exec.Command(needProgram(t, "ip"), argv...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v\n%s", argv, err, out)
		}
	}
	tld, alive, dead := freeIP(t), freeIP(t), freeIP(t)
	for _, root := range rootServers {
		startNSD(t, netip.MustParseAddr(root), map[string]string{".": fmt.Sprintf(`. SOA a.root. hostmaster.root. 1 600 300 86400 60
. NS a.root-servers.net.
a.root-servers.net. A %s
test. NS ns.nic.test.
ns.nic.test. A %s
`, root, tld)})
	}
	startNSD(t, tld, map[string]string{"test": fmt.Sprintf(`test. SOA ns.nic.test. hostmaster.nic.test. 1 600 300 86400 60
test. NS ns.nic.test.
ns.nic.test. A %s
bl.test. NS ns1.bl.test.
bl.test. NS ns.elsewhere.example.
ns1.bl.test. A %s
`, tld, dead)})
	resolver := startAuthority(t, 5400, fmt.Sprintf("ns.elsewhere.example. A %s\n", alive))
	var listed strings.Builder
	for n := 0; n < 20; n += 2 {
		fmt.Fprintf(&listed, "192.0.2.%d\n", n)
	}
	startRbldnsdAt(t, netip.AddrPortFrom(alive, 53), map[string]string{
		"set": "$SOA 3000 ns.elsewhere.example hostmaster.bl.test 0 600 300 86400 120\n$NS 3000 ns1.bl.test ns.elsewhere.example\n" +
			":127.0.0.2:listed $\n127.0.0.2\n" + listed.String(),
	}, "bl.test:ip4set:set")
	proxy := startProxy(t, ProxyOptions{
		Resolver: []netip.AddrPort{resolver.Addr},
		Config:   "[zone.\"bl.rbl.internal\"]\nupstream = \"bl.test\"\nvia = \"direct\"\n",
	})
	for n := range 20 {
		subject, want := fmt.Sprintf("192.0.2.%d", n), "listed 127.0.0.2"
		if n%2 == 1 {
			want = "unlisted"
		}
		if got := verdict(t, proxy.Addr, subject, "bl.rbl.internal"); got != want {
			t.Errorf("%s asked directly is %s, want %s", subject, got, want)
		}
	}
	if got := texts(t, proxy.Addr, "192.0.2.4", "bl.rbl.internal"); len(got) != 1 || got[0] != "listed 192.0.2.4" {
		t.Errorf("TXT asked directly = %q", got)
	}
	// The resolver may be us: it must not see a name of the list.
	for asked := range resolver.questions() {
		if strings.Contains(asked, "bl.test") {
			t.Errorf("the resolver was asked for %s", asked)
		}
	}
}

// runInside runs the calling test once more, in a new network namespace.
func runInside(t *testing.T) {
	t.Helper()
	unshare := needProgram(t, "unshare")
	needProgram(t, "nsd")
	needRoot(t)
	if out, err := exec.Command(unshare, "--net", "true").CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("no network namespaces on this machine: %s", out))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(unshare, "--net", "--", self, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), insideVariable+"=yes")
	cmd.SysProcAttr = processAttributes()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network namespace of its own: %v\n%s", err, out)
	}
}
