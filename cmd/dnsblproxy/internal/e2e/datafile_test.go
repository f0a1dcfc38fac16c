package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dataFiles is the list in each of rbldnsd's kinds of data set, with the
// elements of their syntax that lists use, and the zones that they make.
func dataFiles(sum ipsum, zone string) (files map[string]string, kinds []string) {
	files = make(map[string]string)
	for _, code := range []string{codeSpammer, codeExploit, codePolicy} {
		files[sourceName(code)] = sum.zoneFile(zone, code)
		kinds = append(kinds, "ip4set:"+sourceName(code))
	}
	// The fourth source as prefixes, ranges and exclusions in a trie.
	var trie strings.Builder
	trie.WriteString("$TTL 1200\n:12:SCANNER, see https://" + zone + "/?$\n")
	for i, a := range sum.sources[codeScanner] {
		b := a.As4()
		switch i % 3 {
		case 0:
			fmt.Fprintf(&trie, "%d.%d.%d.0/24\n!%s\n", b[0], b[1], b[2], a)
		case 1:
			fmt.Fprintf(&trie, "%s :127.0.0.13:by itself $\n", a)
		default:
			fmt.Fprintf(&trie, "%s/32\n", a)
		}
	}
	files["trie"] = trie.String()
	files["six"] = ":127.0.0.2:SPAMMER, see https://" + zone + "/?$\n::ffff:7f00:2\n2001:db8:bad::/48\n!2001:db8:bad:1::/64\n2001:db8:1::25 :3:alone\n"
	files["names"] = ":127.0.1.2:$ is advertised\nbad.example.com\n.worse.example.com\n!good.worse.example.com\n*.wild.example.com :9:below\ntest\n"
	files["more"] = "$TTL 90\nextra A 127.0.0.7\nextra TXT \"by hand\"\n@ MX 10 mail." + zone + "\n"
	return files, append(kinds, "ip4trie:trie", "ip6trie:six", "dnset:names", "generic:more")
}

// TestDataFile has the proxy serve the files that rbldnsd serves: to
// thousands of names both say the same, TTLs too.
func TestDataFile(t *testing.T) {
	t.Parallel()
	sum := loadIpsum(t)
	const name = "bl.example"
	files, kinds := dataFiles(sum, name)
	var zones, specs []string
	for _, kind := range kinds {
		zones = append(zones, name+":"+kind)
		specs = append(specs, fmt.Sprintf("%q", kind))
	}
	list := startRbldnsd(t, files, zones...)
	proxy := startProxy(t, ProxyOptions{Files: files, Config: fmt.Sprintf(
		"[zone.%q]\nsource = \"file\"\nholds = [\"ip4\", \"ip6\", \"domain\"]\nfiles = [%s]\n", name, strings.Join(specs, ", "))})

	questions := differences(sum, name)
	random := rand.New(rand.NewPCG(7, 7))
	for range 800 { // beside the entries, inside the prefixes
		b := sum.sources[codeScanner][random.IntN(len(sum.sources[codeScanner]))].As4()
		b[3] = byte(random.IntN(256))
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			questions = append(questions, difference{name: mixCase(random, reverse(netip.AddrFrom4(b).String(), name)), qtype: qtype})
		}
	}
	for _, domain := range []string{"bad.example.com", "x.bad.example.com", "worse.example.com", "x.worse.example.com", "good.worse.example.com",
		"x.good.worse.example.com", "wild.example.com", "x.wild.example.com", "x.y.wild.example.com", "test", "invalid", "extra", "x.extra", "com", "example.com"} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeMX} {
			questions = append(questions, difference{name: domain + "." + name + ".", qtype: qtype})
		}
	}
	for _, qtype := range []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeA} {
		questions = append(questions, difference{name: name + ".", qtype: qtype})
	}
	direct, ours := askAll(t, "udp", list.Addr, questions), askAll(t, "udp", proxy.Addr, questions)
	listed, bad := 0, 0
	for i, q := range questions {
		err := compare(q, direct[i], ours[i])
		if len(direct[i].Answer) > 0 {
			listed++
			if err == nil && leastTTL(ours[i].Answer) != leastTTL(direct[i].Answer) {
				err = fmt.Errorf("TTL %d, rbldnsd's is %d", leastTTL(ours[i].Answer), leastTTL(direct[i].Answer))
			}
		}
		if err != nil {
			if bad++; bad <= 10 {
				t.Errorf("%s %s: %v", q.name, dns.TypeToString[q.qtype], err)
			}
		}
	}
	t.Logf("%d questions, %d answers with records, %d differences", len(questions), listed, bad)
	if listed < len(questions)/4 {
		t.Error("the questions find too little to prove anything")
	}
}

// dataWithin is how long a changed file may take to be in force.
const dataWithin = 3 * time.Second

// TestDataFile_changes: a changed file is in force within three seconds,
// however it was changed; one that breaks or vanishes keeps the last good.
func TestDataFile_changes(t *testing.T) {
	t.Parallel()
	const name = "bl.example"
	config := fmt.Sprintf("[zone.%q]\nsource = \"file\"\nfiles = [\"ip4set:entries\"]\n", name)
	head := ":127.0.0.2:a text\n"
	proxy := startProxy(t, ProxyOptions{Config: config, Files: map[string]string{"entries": head + "192.0.2.1\n"}})
	is := func(addr, want string) {
		t.Helper()
		becomes(t, dataWithin, proxy.Addr, addr, name, want)
	}
	is("192.0.2.1", "listed 127.0.0.2")
	is("192.0.2.2", "unlisted")

	write(t, proxy.dir, "entries", head+"192.0.2.2\n") // by renaming
	is("192.0.2.2", "listed 127.0.0.2")
	is("192.0.2.1", "unlisted")

	path := filepath.Join(proxy.dir, "entries")
	if err := os.WriteFile(path, []byte(head+"192.0.2.2\n192.0.2.3\n"), 0o644); err != nil { // in place
		t.Fatal(err)
	}
	is("192.0.2.3", "listed 127.0.0.2")

	// One bad line among good ones is skipped, and named.
	write(t, proxy.dir, "entries", head+"192.0.2.2\n192.0.2.4\n192.0.2.999\n"+strings.Repeat("192.0.2.5\n", 50))
	is("192.0.2.4", "listed 127.0.0.2")
	eventually(t, dataWithin, "the line to be named", func() error {
		if !strings.Contains(proxy.Output(), "entries:4") {
			return fmt.Errorf("the log does not hold entries:4")
		}
		return nil
	})

	before := len(proxy.Output())
	write(t, proxy.dir, "entries", strings.Repeat("<html>not found</html>\n", 100))
	eventually(t, dataWithin, "the broken file to be logged", func() error {
		if !strings.Contains(proxy.Output()[before:], "entries") {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	is("192.0.2.4", "listed 127.0.0.2")
	before = len(proxy.Output())
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, dataWithin, "the vanished file to be logged", func() error {
		if !strings.Contains(proxy.Output()[before:], "entries") {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	is("192.0.2.4", "listed 127.0.0.2")
	write(t, proxy.dir, "entries", head+"192.0.2.6\n")
	is("192.0.2.6", "listed 127.0.0.2")
	is("192.0.2.4", "unlisted")
}
