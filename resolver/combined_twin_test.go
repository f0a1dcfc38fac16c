package resolver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// aMember is what the property draws of one member: everything that may
// change what it counts for.
type aMember struct {
	name       string
	source     Source // upstream or deny
	mode       Mode
	allow      bool
	fails      bool
	says       []int // last octets of its codes
	listed     []int // of the codes that are a listing; nil: all
	noOverride []int
	exempt     bool        // a rule that is scoped to it
	denied     bool        // likewise
	whole      int         // weight of the zone; 0: none
	weights    map[int]int // of single codes, by last octet
}

func (m *aMember) String() string {
	return fmt.Sprintf("%s: source %d, mode %d, allow %t, fails %t, says %v, listed %v, no_override %v, exempt %t, denied %t, weights %d %v",
		m.name, m.source, m.mode, m.allow, m.fails, m.says, m.listed, m.noOverride, m.exempt, m.denied, m.whole, m.weights)
}

// countsSlow is the definition of what a member counts for, by the words of
// the documentation. It is meant to be read, not run. exempt says that a rule
// exempts the address in the combined zone.
func (m *aMember) countsSlow(exempt bool) int {
	// What is observed or off has no effect.
	if m.mode != Enforce {
		return 0
	}
	spared := (m.exempt || exempt) && !m.allow
	var codes []int
	switch {
	case m.denied && !spared:
		codes = []int{2}
	case m.source == SourceDeny:
	case spared && (len(m.noOverride) == 0 || m.fails):
	case m.fails: // what is best for the sender
		least := min(m.whole, 0)
		for _, w := range m.weights {
			least += min(w, 0)
		}
		return least
	default:
		for _, code := range m.says {
			if m.listed != nil && !slices.Contains(m.listed, code) {
				continue
			}
			if !spared || slices.Contains(m.noOverride, code) {
				codes = append(codes, code)
			}
		}
	}
	sum, whole := 0, false
	for _, code := range codes {
		if w, ok := m.weights[code]; ok {
			sum += w
		} else if !whole {
			whole = true
			sum += m.whole
		}
	}
	return sum
}

func drawMember(random *rand.Rand, i int) *aMember {
	often := func(n int) bool { return random.IntN(n) == 0 }
	octets := func(most int) []int {
		var out []int
		for _, o := range random.Perm(6)[:random.IntN(most+1)] {
			out = append(out, o+2)
		}
		return out
	}
	m := &aMember{name: fmt.Sprintf("m%d.test", i), weights: map[int]int{}, says: octets(3), whole: random.IntN(9) - 3}
	if often(5) {
		m.source = SourceDeny
		m.says = nil
	}
	if often(5) {
		m.mode = []Mode{Observe, Off}[random.IntN(2)]
	}
	m.allow = m.source == SourceUpstream && often(4)
	m.fails = m.source == SourceUpstream && often(4)
	if often(3) {
		m.listed = octets(6)
	}
	if len(m.listed) == 0 {
		m.listed = nil
	}
	if often(3) {
		m.noOverride = octets(3)
	}
	m.exempt = often(3)
	m.denied = !m.allow && often(4)
	for _, o := range octets(3) {
		m.weights[o] = random.IntN(9) - 3
	}
	if m.whole == 0 && len(m.weights) == 0 {
		m.whole = 1
	}
	return m
}

func octetCodes(t testing.TB, octets []int) rbl.CodeSet {
	var texts []string
	for _, o := range octets {
		texts = append(texts, fmt.Sprintf("127.0.0.%d", o))
	}
	return codes(t, texts...)
}

// zone is the member as the resolver knows it.
func (m *aMember) zone(t testing.TB) ZoneOptions {
	l := &fakeList{ttl: 300, records: map[string][]string{}}
	if m.fails {
		l.err = upstream.ErrTimeout
	}
	for _, o := range m.says {
		l.records["9.2.0.192.list.example A"] = append(l.records["9.2.0.192.list.example A"], fmt.Sprintf("127.0.0.%d", o))
	}
	z := testZone(m.name, l)
	z.Mode, z.Allow, z.NoOverride = m.mode, m.allow, octetCodes(t, m.noOverride)
	if m.listed != nil {
		z.Listed = octetCodes(t, m.listed)
	}
	if m.source == SourceDeny {
		z.Source, z.List, z.Upstream = SourceDeny, nil, ""
	}
	return z
}

// TestCombined_slow: over members in every state, the combined zone lists
// exactly when the slow sum reaches the threshold.
func TestCombined_slow(t *testing.T) {
	random := rand.New(rand.NewPCG(5782, 7))
	verdicts := map[string]int{}
	rounds := 600
	if testing.Short() {
		rounds = 200
	}
	for range rounds {
		exempt := random.IntN(5) == 0
		threshold := 1 + random.IntN(8)
		sum := 0
		weights := map[string]int{}
		var zones []ZoneOptions
		var rules []overrides.Rule
		var said []string
		for i := range 1 + random.IntN(5) {
			m := drawMember(random, i)
			zones = append(zones, m.zone(t))
			if m.whole != 0 {
				weights[m.name] = m.whole
			}
			for o, w := range m.weights {
				weights[fmt.Sprintf("%s=127.0.0.%d", m.name, o)] = w
			}
			if m.exempt {
				rules = append(rules, overrides.Rule{Name: "a" + m.name, CIDR: []string{"192.0.2.0/24"}, Zones: []string{m.name}})
			}
			if m.denied {
				rules = append(rules, overrides.Rule{Name: "d" + m.name, Action: overrides.Deny, CIDR: []string{"192.0.2.9"}, Zones: []string{m.name}})
			}
			sum += m.countsSlow(exempt)
			said = append(said, m.String())
		}
		if exempt {
			rules = append(rules, overrides.Rule{Name: "all", CIDR: []string{"192.0.2.9"}, Zones: []string{"sum.test"}})
		}
		zones = append(zones, weighed(t, "sum.test", threshold, weights))
		want := "NXDOMAIN"
		if sum >= threshold {
			want = "NOERROR 127.0.0.2"
		}
		verdicts[want]++
		s := newScene(t, zones, rules...)
		if random.IntN(2) == 0 { // asked first, TXT is decided likewise
			m := s.ask("9.2.0.192.sum.test", dns.TypeTXT)
			if listed := len(m.Answer) > 0; listed != (sum >= threshold) ||
				listed && !strings.HasPrefix(m.Answer[0].(*dns.TXT).Txt[0], "score ") {
				t.Errorf("TXT: %s, want a listing: %t", brief(m), sum >= threshold)
			}
		}
		if got := brief(s.ask("9.2.0.192.sum.test", dns.TypeA)); got != want {
			t.Fatalf("got %s, want %s: the sum is %d, the threshold %d, exempt there: %t\n%s",
				got, want, sum, threshold, exempt, strings.Join(said, "\n"))
		}
		s.r.Close()
	}
	t.Logf("%v", verdicts)
	for _, want := range []string{"NXDOMAIN", "NOERROR 127.0.0.2"} {
		if verdicts[want] < rounds/10 {
			t.Errorf("%s was wanted %d times of %d: the draw proves little", want, verdicts[want], rounds)
		}
	}
}
