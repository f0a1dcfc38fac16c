//go:build linux && !race

package resolver

import (
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
)

var update = flag.Bool("update", false, "write testdata/instructions.txt anew")

// instructionsFile keeps what the ways to an answer cost, in instructions.
const instructionsFile = "testdata/instructions.txt"

// instructionsSlack is by how much a count may exceed the kept one. ristretto
// looks at its answers' popularity in a goroutine of its own, as often as that
// gets its turn, which moves a count by a tenth.
const instructionsSlack = 0.15

// TestInstructions counts the instructions of one answer, without what asking
// the list takes, by valgrind, to which a busy machine is as good as a calm one. It fails when an
// answer has become dearer.
func TestInstructions(t *testing.T) {
	if way := os.Getenv("DNSBLPROXY_WAY"); way != "" {
		answerMany(t, way)
		return
	}
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	if _, err := exec.LookPath("valgrind"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("valgrind is not installed")
		}
		t.Skip("valgrind is not installed")
	}
	kept := readInstructions(t)
	var now strings.Builder
	for _, way := range []string{"unlisted", "listed", "exempt", "miss"} {
		bound := kept[way] * (1 + instructionsSlack)
		if *update {
			bound = 0
		}
		each := leastInstructions(t, way, bound)
		fmt.Fprintf(&now, "%s %.0f\n", way, each)
		t.Logf("%s: %.0f instructions, kept %.0f", way, each, kept[way])
		if each > bound && !*update {
			t.Errorf("%s: %.0f instructions an answer, %s has %.0f; if that is meant, run this test with -update behind the package", way, each, instructionsFile, kept[way])
		}
	}
	if *update {
		if err := os.WriteFile(instructionsFile, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readInstructions(t *testing.T) map[string]float64 {
	b, err := os.ReadFile(instructionsFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	kept := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		way, figure, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kept[way], err = strconv.ParseFloat(figure, 64); err != nil {
			t.Fatalf("%s: %v", instructionsFile, err)
		}
	}
	return kept
}

// leastInstructions is what one answer takes: the least of five counts, since
// what disturbs them only adds, or the first within bound.
func leastInstructions(t *testing.T, way string, bound float64) float64 {
	const few, many = 5_000, 45_000
	least := math.Inf(1)
	for range 5 {
		least = min(least, float64(instructions(t, way, many)-instructions(t, way, few))/(many-few))
		if least <= bound {
			break
		}
	}
	return least
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions is what this test takes as a process that gives so many answers.
func instructions(t *testing.T, way string, answers int) int {
	cmd := exec.CommandContext(t.Context(), "valgrind", "--tool=callgrind", "--callgrind-out-file="+filepath.Join(t.TempDir(), "out"),
		os.Args[0], "-test.run=^TestInstructions$", "-test.count=1")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1", // valgrind loses track of the signals
		fmt.Sprintf("DNSBLPROXY_WAY=%s %d", way, answers))
	out, err := cmd.CombinedOutput()
	m := collected.FindSubmatch(out)
	if m == nil {
		// It does not know every processor's instructions and system calls.
		t.Skipf("valgrind cannot run this program here: %v\n%s", err, out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// answerMany gives answers on one way, as often as it is told.
func answerMany(t *testing.T, order string) {
	var way string
	var n int
	if _, err := fmt.Sscan(order, &way, &n); err != nil {
		t.Fatal(err)
	}
	if way == "miss" {
		m := newMisses(t)
		for range n {
			m.ask(t)
		}
		return
	}
	l := &fakeList{ttl: 3600, all: map[string]string{"listed": "127.0.0.2"}[way]}
	rules := []overrides.Rule{{Name: "partners", CIDR: benchPrefixes(1000)}}
	if way == "exempt" {
		rules = append(rules, overrides.Rule{Name: "all", CIDR: []string{"10.0.0.0/8"}})
	}
	s := newScene(t, []ZoneOptions{testZone("bl.test", l), testZone("other.test", l)}, rules...)
	queries := benchQueries(t, "bl.test", dns.TypeA, 64)
	s.raw(queries[0], false)
	s.r.cache.Settle() // from here on others have the same answer
	for _, pkt := range queries {
		s.raw(pkt, false)
	}
	sc := NewScratch(0)
	for i := range n {
		if _, done := s.r.Respond(sc, queries[i%len(queries)], testClient, false); !done {
			t.Fatal("not answered at once")
		}
	}
}
