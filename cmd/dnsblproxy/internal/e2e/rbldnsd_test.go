package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rbldnsd serves lists from data sets, as the lists themselves do.
type Rbldnsd struct {
	*Process
	Addr netip.AddrPort // UDP only
}

// startRbldnsd serves the given zones. A zone is "NAME:TYPE:FILE" as on
// rbldnsd's command line; files are the contents by name.
func startRbldnsd(t testing.TB, files map[string]string, zones ...string) *Rbldnsd {
	t.Helper()
	return startRbldnsdAt(t, netip.AddrPortFrom(freeIP(t), 5300), files, zones...)
}

func startRbldnsdAt(t testing.TB, addr netip.AddrPort, files map[string]string, zones ...string) *Rbldnsd {
	t.Helper()
	program := needProgram(t, "rbldnsd")
	dir := folder(t)
	for name, text := range files {
		write(t, dir, name, text)
	}
	argv := append(unprivileged(t), program, "-n", "-c", "1s", "-w", dir,
		"-b", fmt.Sprintf("%s/%d", addr.Addr(), addr.Port()))
	argv = append(argv, zones...)
	r := &Rbldnsd{Process: startProcess(t, nil, argv...), Addr: addr}
	zone, _, _ := strings.Cut(zones[0], ":")
	r.ready(t, answers(addr, zone))
	return r
}

// unprivileged is a command in front of rbldnsd, which refuses to run as
// root. Left to change its user by itself it would lose the kernel's order to
// die with the test.
func unprivileged(t testing.TB) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{needProgram(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups",
		"--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service", "--pdeathsig=KILL", "--"}
}

// Codes of the four sources among which ipsum spreads its addresses. They
// stand where a large list has its hand-made, its exploit and its
// end-user-address part.
const (
	codeSpammer = "127.0.0.2"
	codeExploit = "127.0.0.4"
	codePolicy  = "127.0.0.10"
	codeScanner = "127.0.0.12"
)

// ipsum is the list of addresses that the tests run with.
type ipsum struct {
	addrs []netip.Addr
	// sources holds the addresses by code; every address is in one source,
	// every tenth in two.
	sources map[string][]netip.Addr
}

// loadIpsum reads the published list beside the project; where that is
// missing it draws as many addresses, always the same ones.
func loadIpsum(t testing.TB) ipsum {
	t.Helper()
	var addrs []netip.Addr
	f, err := os.Open(filepath.Join(projectRoot, "..", "shared", "data", "lists", "ipsum-level3.txt"))
	if err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if a, err := netip.ParseAddr(strings.TrimSpace(s.Text())); err == nil {
				addrs = append(addrs, a)
			}
		}
	} else {
		t.Log("the published list is not at hand, drawing addresses instead")
		random := rand.New(rand.NewPCG(14, 217))
		for range 14217 {
			addrs = append(addrs, netip.AddrFrom4([4]byte{byte(1 + random.IntN(99)),
				byte(random.IntN(256)), byte(random.IntN(256)), byte(random.IntN(256))}))
		}
	}
	codes := []string{codeSpammer, codeExploit, codePolicy, codeScanner}
	sum := ipsum{addrs: addrs, sources: make(map[string][]netip.Addr)}
	for i, a := range addrs {
		first := codes[i%len(codes)]
		sum.sources[first] = append(sum.sources[first], a)
		if i%10 == 0 {
			second := codes[(i+1)%len(codes)]
			sum.sources[second] = append(sum.sources[second], a)
		}
	}
	return sum
}

// with returns the nth address that is in the source of that code and in no other.
func (s ipsum) with(t testing.TB, code string, n int) string {
	t.Helper()
	seen := make(map[netip.Addr]int)
	for _, source := range s.sources {
		for _, a := range source {
			seen[a]++
		}
	}
	for _, a := range s.sources[code] {
		if seen[a] == 1 {
			if n == 0 {
				return a.String()
			}
			n--
		}
	}
	t.Fatalf("no address with %s alone", code)
	return ""
}

// zoneFile is a source in rbldnsd's ip4set syntax, with the RFC 5782 test
// entry and a text that names the address.
func (s ipsum) zoneFile(zone, code string) string {
	var b strings.Builder
	// The serial 0 would stand for the time at which a copy was written.
	fmt.Fprintf(&b, "$SOA 3000 ns.%s hostmaster.%s 20261122 600 300 86400 120\n", zone, zone)
	fmt.Fprintf(&b, "$NS 3000 ns.%s\n$TTL 600\n", zone)
	fmt.Fprintf(&b, ":%s:%s lists it, see https://%s/lookup?ip=$\n", code, sourceName(code), zone)
	b.WriteString("127.0.0.2\n")
	for _, a := range s.sources[code] {
		fmt.Fprintln(&b, a)
	}
	return b.String()
}

func sourceName(code string) string {
	return map[string]string{codeSpammer: "SPAMMER", codeExploit: "EXPLOIT",
		codePolicy: "POLICY", codeScanner: "SCANNER"}[code]
}

// startIpsum serves the list as zone, all sources in one zone, with some IPv6
// prefixes beside them.
func startIpsum(t testing.TB, sum ipsum, zone string) *Rbldnsd {
	t.Helper()
	files := map[string]string{"six": ":127.0.0.2:SPAMMER lists it, see https://" + zone + "/lookup?ip=$\n" +
		"::ffff:7f00:2\n2001:db8:bad::/48\n2001:db8:1::25\n"}
	var zones []string
	for _, code := range []string{codeSpammer, codeExploit, codePolicy, codeScanner} {
		files[sourceName(code)] = sum.zoneFile(zone, code)
		zones = append(zones, zone+":ip4set:"+sourceName(code))
	}
	return startRbldnsd(t, files, append(zones, zone+":ip6trie:six")...)
}
