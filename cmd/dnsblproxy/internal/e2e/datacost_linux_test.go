package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cost is what a server needs for a data file.
type cost struct {
	load      time.Duration // from its start to its first answer
	resident  int           // KiB, with the file, more than with an empty one
	perAnswer time.Duration // of CPU time
}

// TestDataFile_cost sets what a million entries cost the proxy and rbldnsd
// side by side. The log of the test is the table for people.
func TestDataFile_cost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has costs of its own")
	}
	// Not parallel: it measures.
	const name, entries, questions = "bl.example", 1_000_000, 20_000
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	text.WriteString(":127.0.0.2:Listed, see https://example.com/lookup?$\n")
	asked := make([]difference, 0, questions)
	for i := range entries {
		a := netip.AddrFrom4([4]byte{byte(1 + random.IntN(220)), byte(random.IntN(256)), byte(random.IntN(256)), byte(random.IntN(256))})
		fmt.Fprintln(&text, a)
		if i%(entries/questions) == 0 {
			if i%3 == 0 {
				a = netip.AddrFrom4([4]byte{byte(1 + random.IntN(220)), byte(random.IntN(256)), byte(random.IntN(256)), byte(random.IntN(256))})
			}
			asked = append(asked, difference{name: reverse(a.String(), name), qtype: dns.TypeA})
		}
	}
	var table strings.Builder
	table.WriteString("| a million addresses | start to first answer | resident memory for them | CPU time for an answer |\n|---|---|---|---|\n")
	for _, kind := range []string{"ip4set", "ip4trie"} {
		serve := func(file string) (func() (*Process, netip.AddrPort), func() (*Process, netip.AddrPort)) {
			files := map[string]string{"data": file}
			return func() (*Process, netip.AddrPort) {
					p := startProxy(t, ProxyOptions{Files: files, Config: fmt.Sprintf("[zone.%q]\nsource = \"file\"\nfiles = [\"%s:data\"]\n", name, kind)})
					return p.Process, p.Addr
				}, func() (*Process, netip.AddrPort) {
					r := startRbldnsd(t, files, name+":"+kind+":data")
					return r.Process, r.Addr
				}
		}
		ourEmpty, theirEmpty := serve(":127.0.0.2:x\n127.0.0.2\n")
		ourFull, theirFull := serve(text.String())
		ours, direct := measureCost(t, ourEmpty, ourFull, asked)
		theirs, through := measureCost(t, theirEmpty, theirFull, asked)
		for i, q := range asked {
			if err := compare(q, through[i], direct[i]); err != nil {
				t.Fatalf("%s: %s: %v", kind, q.name, err)
			}
		}
		for i, c := range []cost{ours, theirs} {
			fmt.Fprintf(&table, "| %s, %s | %s | %.1f MB | %.1f µs |\n", kind, []string{"dnsblproxy", "rbldnsd"}[i], c.load.Round(10*time.Millisecond),
				float64(c.resident)/1000, float64(c.perAnswer)/1000)
		}
		if ours.load > 10*time.Second {
			t.Errorf("%s: loading took %v", kind, ours.load)
		}
		if ours.resident > theirs.resident {
			t.Errorf("%s: %d KiB for the entries, rbldnsd %d KiB", kind, ours.resident, theirs.resident)
		}
	}
	t.Logf("\n%s", table.String())
}

func measureCost(t testing.TB, empty, full func() (*Process, netip.AddrPort), asked []difference) (cost, []*dns.Msg) {
	t.Helper()
	p, addr := empty()
	askAll(t, "udp", addr, asked) // which takes memory of its own
	base := resident(t, p)
	p.stop(t)
	start := awake()()
	p, addr = full()
	c := cost{load: since(start)}
	before := cpuTime(t, p)
	answers := askAll(t, "udp", addr, asked)
	c.perAnswer = (cpuTime(t, p) - before) / time.Duration(len(asked))
	c.resident = resident(t, p) - base
	p.stop(t)
	return c, answers
}

// resident is VmRSS, in KiB.
func resident(t testing.TB, p *Process) int {
	t.Helper()
	for line := range strings.Lines(read(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err == nil {
				return n
			}
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// cpuTime is what the process has used, in steps of 10 ms.
func cpuTime(t testing.TB, p *Process) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name, in parentheses, may hold spaces.
	fields := strings.Fields(string(b)[strings.LastIndex(string(b), ")")+1:])
	ticks := 0
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
