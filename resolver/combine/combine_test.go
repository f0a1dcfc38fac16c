package combine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dnsblproxy/resolver/rbl"
)

func codes(t testing.TB, s ...string) []rbl.Code {
	t.Helper()
	var out []rbl.Code
	for _, s := range s {
		c, err := rbl.ParseCode(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// example is the combination of the documentation.
func example(t testing.TB) *Plan {
	t.Helper()
	p, err := Parse(map[string]int{
		"zen.spamhaus.org": 4, "zen.spamhaus.org=127.0.0.10-127.0.0.11": 1, "bl.spamcop.net": 2, "list.dnswl.org": -3,
	}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Members(), []string{"bl.spamcop.net", "list.dnswl.org", "zen.spamhaus.org"}; !slices.Equal(got, want) {
		t.Fatalf("Members() = %q, want %q", got, want)
	}
	return p
}

func TestPlan_Decide(t *testing.T) {
	said := func(s ...string) rbl.Answer { return rbl.Answer{Phase: rbl.Answered, Codes: codes(t, s...)} }
	none, open, failed := rbl.Answer{Phase: rbl.Answered}, rbl.Answer{}, rbl.Answer{Phase: rbl.Failed}
	tests := []struct {
		name                string
		spamcop, dnswl, zen rbl.Answer
		want                string // known, listed, sum, bounds
		text                string
	}{
		{"nothing asked yet", open, open, open, "? 0 -3..7", "score 0 of 4"},
		{"nothing listed", none, none, none, "unlisted 0 0..0", "score 0 of 4"},
		{"one list is enough", none, none, said("127.0.0.4"), "listed 4 4..4", "score 4 of 4: zen.spamhaus.org 127.0.0.4 (+4)"},
		{"not while the allowlist is asked", none, open, said("127.0.0.4"), "? 4 1..4", "score 4 of 4: zen.spamhaus.org 127.0.0.4 (+4)"},
		{"the range is more specific", none, none, said("127.0.0.10"), "unlisted 1 1..1", "score 1 of 4: zen.spamhaus.org 127.0.0.10 (+1)"},
		{"a weight counts once", none, none, said("127.0.0.2", "127.0.0.3"), "listed 4 4..4", "score 4 of 4: zen.spamhaus.org 127.0.0.2 127.0.0.3 (+4)"},
		{"two weights of one answer", said("127.0.0.2"), none, said("127.0.0.2", "127.0.0.11"), "listed 7 7..7",
			"score 7 of 4: bl.spamcop.net 127.0.0.2 (+2), zen.spamhaus.org 127.0.0.11 (+1), 127.0.0.2 (+4)"},
		{"allowed after all", said("127.0.0.2"), said("127.0.5.1"), said("127.0.0.4"), "unlisted 3 3..3",
			"score 3 of 4: bl.spamcop.net 127.0.0.2 (+2), list.dnswl.org 127.0.5.1 (-3), zen.spamhaus.org 127.0.0.4 (+4)"},
		{"a blocklist that fails counts nothing", none, none, failed, "unlisted 0 0..0", "score 0 of 4"},
		{"an allowlist that fails counts in full", said("127.0.0.2"), failed, said("127.0.0.4"), "unlisted 3 3..3",
			"score 3 of 4: bl.spamcop.net 127.0.0.2 (+2), list.dnswl.org failed (-3), zen.spamhaus.org 127.0.0.4 (+4)"},
		{"known before zen answers", none, said("127.0.5.1"), open, "unlisted -3 -3..2", "score -3 of 4: list.dnswl.org 127.0.5.1 (-3)"},
		{"listed whatever spamcop says", open, none, said("127.0.0.4"), "listed 4 4..6", "score 4 of 4: zen.spamhaus.org 127.0.0.4 (+4)"},
	}
	p := example(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := p.Decide([]rbl.Answer{tt.spamcop, tt.dnswl, tt.zen})
			word := map[[2]bool]string{{true, true}: "listed", {true, false}: "unlisted", {false, false}: "?"}[[2]bool{v.Known, v.Listed}]
			if got := fmt.Sprintf("%s %d %d..%d", word, v.Sum, v.Min, v.Max); got != tt.want {
				t.Errorf("Decide = %s, want %s", got, tt.want)
			}
			if got := v.Text(); got != tt.text {
				t.Errorf("Text() = %q, want %q", got, tt.text)
			}
		})
	}
}

// TestPlan_doubtful: a failure casts doubt on a sum that it could have changed.
func TestPlan_doubtful(t *testing.T) {
	said := func(s ...string) rbl.Answer { return rbl.Answer{Phase: rbl.Answered, Codes: codes(t, s...)} }
	none, failed := rbl.Answer{Phase: rbl.Answered}, rbl.Answer{Phase: rbl.Failed}
	p := example(t) // zen 4 or 1, spamcop 2, dnswl -3; threshold 4
	for _, tt := range []struct {
		spamcop, dnswl, zen rbl.Answer
		want                bool
	}{
		{none, none, none, false},
		{none, none, failed, true},
		{failed, none, none, false},
		{failed, none, said("127.0.0.10"), false},
		{failed, failed, said("127.0.0.4"), true}, // without the allowlist 4 to 6
		{none, failed, said("127.0.0.4"), true},   // 4, which is enough
		{failed, none, said("127.0.0.4"), false},  // listed
		{failed, said("127.0.5.1"), said("127.0.0.4"), false},
	} {
		if v := p.Decide([]rbl.Answer{tt.spamcop, tt.dnswl, tt.zen}); v.Doubtful != tt.want {
			t.Errorf("Decide(%v) is doubtful: %t, want %t", []rbl.Answer{tt.spamcop, tt.dnswl, tt.zen}, v.Doubtful, tt.want)
		}
	}
}

func TestParse_specific(t *testing.T) {
	p, err := Parse(map[string]int{
		"A.example.": 1, "a.example=127.0.0.0/24": 2, "a.example=127.0.0.&8": 3, "a.example=127.0.0.[8..11]": 4, "a.example=127.0.0.8": 5,
		"c.example=127.0.[0..9].[0..9]": 1, "c.example=127.0.0.0-127.0.0.49": 2, "c.example=127.0.0.0-127.0.0.120": 4,
		"b.example=127.0.0.2-127.0.0.3": 100, "b.example=127.0.0.2": 1, "b.example=127.0.0.3": 2,
		"d.example": 1, "d.example=127.0.0.0/8": maxWeight, "d.example=127.0.[0..1].5": 3, "d.example=127.0.0.6-127.0.0.7": 4,
	}, maxWeight)
	if err != nil {
		t.Fatal(err)
	}
	for zone, weights := range []map[string]int{
		0: {"127.0.1.1": 1, "127.0.0.2": 2, "127.0.0.12": 3, "127.0.0.9": 4, "127.0.0.8": 5, "127.0.0.255": 3},
		// 100 codes octet by octet are more than a range of 50 and less than one of 121.
		2: {"127.0.0.5": 2, "127.0.5.5": 1, "127.0.0.60": 4},
		3: {"127.0.0.2": maxWeight, "127.0.1.5": 3, "127.0.0.6": 4},
	} {
		for code, want := range weights {
			states := slices.Repeat([]rbl.Answer{{Phase: rbl.Answered}}, 4)
			states[zone].Codes = codes(t, code)
			if v := p.Decide(states); v.Sum != want {
				t.Errorf("%s weighs %d in zone %d, want %d", code, v.Sum, zone, want)
			}
		}
	}
	// The range of b is shadowed by its two codes, so it is in no bound.
	if v := p.Decide([]rbl.Answer{3: {Phase: rbl.Answered}}); v.Min != 0 || v.Max != 1+2+3+4+5+1+2+1+2+4 {
		t.Errorf("without answers the sum is from %d to %d", v.Min, v.Max)
	}
}

func TestParse_errors(t *testing.T) {
	tests := []struct {
		name      string
		weights   map[string]int
		threshold int
		want      []string
	}{
		{"none", nil, 1, []string{"no weights"}},
		{"threshold", map[string]int{"a.example": 1}, 0, []string{"threshold 0 is not between 1 and 1000000"}},
		{"no zone", map[string]int{"=127.0.0.2": 1}, 1, []string{`weight "=127.0.0.2" names no zone`}},
		{"codes", map[string]int{"a.example=10.0.0.1": 1}, 1, []string{`weight "a.example=10.0.0.1": codes "10.0.0.1": outside 127.0.0.0/8`}},
		{"high threshold", map[string]int{"a.example": 1}, 1_000_001, []string{"threshold 1000001 is not between"}},
		{"overflow", map[string]int{"a.example": 1_000_001, "b.example": -1_000_001}, 1,
			[]string{`weight "a.example": 1000001 is not between`, `weight "b.example": -1000001 is not between`}},
		{"same zone", map[string]int{"a.example": 1, "A.example.": 2}, 1, []string{`weights "A.example." and "a.example" are for the same zone`}},
		{"same code", map[string]int{"a.example=127.0.0.2": 1, "a.example=127.0.0.2/32": 2}, 1, []string{"equally specific and both cover 127.0.0.2"}},
		{"ranges that meet", map[string]int{"a.example=127.0.0.2-127.0.0.4": 1, "a.example=127.0.0.4-127.0.0.6": 2}, 1, []string{"both cover 127.0.0.4"}},
		{"all at once", map[string]int{"a.example=x": 1, "=": 1}, -1, []string{"threshold", `"a.example=x"`, `"=" names`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.weights, tt.threshold)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Parse = %v, want %q in it", err, want)
				}
			}
		})
	}
}

// TestVerdict_Text_long: all parts that fit are named, and those left out are seen to be.
func TestVerdict_Text_long(t *testing.T) {
	for n := range 300 {
		zone := strings.Repeat("x", n)
		v := Verdict{Sum: 3, Threshold: 4, Parts: []Part{{Zone: "a", Weight: 1}, {Zone: zone, Weight: 1}, {Zone: "b", Weight: 1}}}
		want := "score 3 of 4: a (+1), " + zone + " (+1), b (+1)"
		for _, cut := range []string{", b (+1)", ", " + zone + " (+1), ..."} {
			if len(want) > 255 {
				want = strings.Replace(want, cut, ", ...", 1)
			}
		}
		if got := v.Text(); got != want {
			t.Errorf("Text with a name of %d octets = %q, want %q", n, got, want)
		}
	}
}

// universe is a handful of codes, so that every answer can be written out. The
// last one has no weight but its zone's.
var universe = []rbl.Code{0x7f000002, 0x7f000003, 0x7f000004, 0x7f000005, 0x7f000006, 0x7f0000fe}

// slowMember is one list as the slow twin sees it.
type slowMember struct {
	zone    int // weight of codes without one of their own; valid if hasZone
	hasZone bool
	ranges  []slowRange
}

type slowRange struct {
	first, last rbl.Code
	weight      int
}

// sum is the definition: for each code find the smallest range that holds it,
// then add each range that was found once.
func (m slowMember) sum(answer []rbl.Code) int {
	found, zone := map[int]bool{}, false
	for _, c := range answer {
		best := -1
		for i, r := range m.ranges {
			if r.first <= c && c <= r.last && (best < 0 || r.last-r.first < m.ranges[best].last-m.ranges[best].first) {
				best = i
			}
		}
		if best >= 0 {
			found[best] = true
		} else {
			zone = zone || m.hasZone
		}
	}
	total := 0
	for i := range found {
		total += m.ranges[i].weight
	}
	if zone {
		total += m.zone
	}
	return total
}

// answers lists every set of codes.
func answers() [][]rbl.Code {
	var all [][]rbl.Code
	for bits := range 1 << len(universe) {
		var one []rbl.Code
		for i, c := range universe {
			if bits>>i&1 != 0 {
				one = append(one, c)
			}
		}
		all = append(all, one)
	}
	return all
}

// lenient is the least that the member can add.
func (m slowMember) lenient() int {
	least := 0
	for _, a := range answers() {
		least = min(least, m.sum(a))
	}
	return least
}

// randomPlan makes up weights for both.
func randomPlan(t *testing.T, r *rand.Rand) (*Plan, []slowMember) {
	weights, slow := map[string]int{}, make([]slowMember, 1+r.IntN(4))
	for i := range slow {
		zone := fmt.Sprintf("list%d.example", i)
		m := &slow[i]
		if m.hasZone = r.IntN(4) > 0; m.hasZone {
			m.zone = r.IntN(11) - 5
			weights[zone] = m.zone
		}
		sizes := map[rbl.Code]bool{}
		for range r.IntN(4) {
			first := universe[r.IntN(3)]
			last := first + rbl.Code(r.IntN(3))
			if sizes[last-first] { // equally specific ones are refused when they meet
				continue
			}
			sizes[last-first] = true
			w := r.IntN(11) - 5
			m.ranges = append(m.ranges, slowRange{first, last, w})
			weights[fmt.Sprintf("%s=%s-%s", zone, first, last)] = w
		}
		if !m.hasZone && len(m.ranges) == 0 {
			m.hasZone, m.zone = true, 1
			weights[zone] = 1
		}
	}
	p, err := Parse(weights, 1+r.IntN(8))
	if err != nil {
		t.Fatalf("Parse(%v): %v", weights, err)
	}
	return p, slow
}

// TestPlan_Decide_property compares with sums over every possible completion:
// random weights, each member answered, failed or outstanding.
func TestPlan_Decide_property(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	all := answers()
	var counts [3]int
	for range 2400 {
		p, slow := randomPlan(t, r)
		states := make([]rbl.Answer, len(slow))
		sum, least, most := 0, 0, 0
		for i, m := range slow {
			switch rbl.Phase(r.IntN(3)) {
			case rbl.Outstanding:
				lo, hi := m.lenient(), m.lenient() // it may fail yet
				for _, a := range all {
					lo, hi = min(lo, m.sum(a)), max(hi, m.sum(a))
				}
				least, most = least+lo, most+hi
			case rbl.Failed:
				states[i].Phase = rbl.Failed
				sum += m.lenient()
			default:
				a := all[r.IntN(len(all))]
				states[i] = rbl.Answer{Phase: rbl.Answered, Codes: a}
				sum += m.sum(a)
			}
		}
		v := p.Decide(states)
		if v.Sum != sum || v.Min != sum+least || v.Max != sum+most {
			t.Fatalf("Decide(%+v) of %+v = %+v, slowly %d in %d..%d", states, slow, v, sum, sum+least, sum+most)
		}
		known := sum+least >= p.threshold || sum+most < p.threshold
		if v.Known != known || v.Listed != (known && sum+least >= p.threshold) {
			t.Fatalf("Decide(%+v) of %+v = %+v, threshold %d", states, slow, v, p.threshold)
		}
		total := 0
		for _, part := range v.Parts {
			if total += part.Weight; part.Weight == 0 {
				t.Fatalf("%+v is a part, and counts nothing", part)
			}
		}
		if total != v.Sum {
			t.Fatalf("the parts of %+v add up to %d", v, total)
		}
		switch {
		case !v.Known:
			counts[0]++
		case v.Listed:
			counts[1]++
		default:
			counts[2]++
		}
	}
	for i, what := range []string{"open", "listed", "unlisted"} {
		if counts[i] < 100 {
			t.Errorf("only %d verdicts of %v were %s: the weights show too little", counts[i], counts, what)
		}
	}
}

// TestPlan_Decide_completions plays every completion of the outstanding
// members to its end: a verdict once known never changes, and one that is open
// can still go both ways.
func TestPlan_Decide_completions(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	all := answers()
	for range 60 {
		p, slow := randomPlan(t, r)
		states := make([]rbl.Answer, len(slow))
		var open []int
		for i := range slow {
			switch {
			case len(open) < 2 && r.IntN(2) == 0:
				open = append(open, i)
			case r.IntN(4) == 0:
				states[i].Phase = rbl.Failed
			default:
				states[i] = rbl.Answer{Phase: rbl.Answered, Codes: all[r.IntN(len(all))]}
			}
		}
		early := p.Decide(states)
		var ends [2]bool // unlisted, listed
		var complete func(rest []int)
		complete = func(rest []int) {
			if len(rest) == 0 {
				v := p.Decide(states)
				if !v.Known || v.Min != v.Max || v.Listed != (v.Sum >= p.threshold) {
					t.Fatalf("with every answer there, Decide = %+v", v)
				}
				if v.Listed {
					ends[1] = true
				} else {
					ends[0] = true
				}
				return
			}
			states[rest[0]] = rbl.Answer{Phase: rbl.Failed}
			complete(rest[1:])
			for _, a := range all {
				states[rest[0]] = rbl.Answer{Phase: rbl.Answered, Codes: a}
				complete(rest[1:])
			}
		}
		complete(open)
		if want := [2]bool{!early.Known || !early.Listed, !early.Known || early.Listed}; ends != want {
			t.Fatalf("Decide said %+v; its completions end unlisted, listed: %v", early, ends)
		}
	}
}

func BenchmarkPlan_Decide(b *testing.B) {
	p := example(b)
	states := []rbl.Answer{{}, {Phase: rbl.Failed}, {Phase: rbl.Answered, Codes: codes(b, "127.0.0.4", "127.0.0.10")}}
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(states)
	}
}
