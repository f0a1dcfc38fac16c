package spf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCompile_equalsCheckHost is the promise of Compile: the Map says what
// CheckHost says, at every edge, beside it, and anywhere; and a range is live
// if, and only if, CheckHost asks about the address there.
func TestCompile_equalsCheckHost(t *testing.T) {
	seen := map[Result]int{}
	limits := map[string]int{}
	for seed := range uint64(400) {
		w := newWorld(seed, false)
		m, err := Compile(context.Background(), w.dns, "d0.test", CompileOptions{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for q, n := range w.dns.asked {
			if n > 1 {
				t.Fatalf("seed %d: Compile asked %v %d times", seed, q, n)
			}
		}
		checkCover(t, m)
		for _, p := range m.Problems {
			for _, limit := range []error{errLookups, errVoids, errMX, errFake, errRecords} {
				if strings.Contains(p.Why, limit.Error()) {
					limits[limit.Error()]++
				}
			}
		}
		for _, a := range w.probes(m, 150) {
			clear(w.dns.asked)
			want := CheckHost(context.Background(), w.dns, Query{Addr: a, Domain: "d0.test"})
			isLive := askedAboutAddress(w.dns)
			got := resultOf(m, a)
			seen[got]++
			if isLive != (got == Live) || !isLive && got != want.Result {
				t.Fatalf("seed %d: result of %v = %v, CheckHost = %v (%v, %v), asked about the address: %t\n%s",
					seed, a, got, want.Result, want.Path, want.Why, isLive, w.describe())
			}
		}
	}
	for _, r := range []Result{Neutral, Pass, Fail, SoftFail, TempError, PermError, Live} {
		if seen[r] < 100 {
			t.Errorf("only %d probes had the result %v; the generator is too narrow", seen[r], r)
		}
	}
	if len(limits) != 5 {
		t.Errorf("limits and errors reached: %v, want all five", slices.Collect(maps.Keys(limits)))
	}
}

func askedAboutAddress(d *fakeDNS) bool {
	for q := range d.asked {
		if strings.HasSuffix(q.name, ".live.test") || q.t == TypePTR {
			return true
		}
	}
	return false
}

// checkCover: each family once from end to end, neighbours different.
func checkCover(t *testing.T, m *Map) {
	t.Helper()
	for _, six := range []bool{false, true} {
		next, prev := firstOf(six), Result(255)
		for r := range m.Ranges() {
			if r.First.Is6() != six {
				continue
			}
			if r.First != next || r.Last.Less(r.First) || r.Result == prev {
				t.Fatalf("range %v after %v, want one from %v on with another result", r, prev, next)
			}
			next, prev = r.Last.Next(), r.Result
			if r.Last == lastAddr(six) {
				next = netip.Addr{}
			}
		}
		if next.IsValid() {
			t.Fatalf("the ranges end before %v", next)
		}
	}
}

func compile(t *testing.T, d *fakeDNS, domain string) *Map {
	t.Helper()
	m, err := Compile(context.Background(), d, domain, CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCompile_figures(t *testing.T) {
	d := zone(`
		example.com TXT v=spf1 -ip4:192.0.2.128/25 ip4:192.0.2.0/24 include:a.example.net mx/31 exists:%{i}.x.test -all
		example.com MX mail.example.com
		a.example.net TXT v=spf1 ip6:2001:db8::/32 ip4:198.51.100.1 ~all
		a.example.net TTL 90s
		mail.example.com A 203.0.113.4
		mail.example.com AAAA 2001:db9::1
		mail.example.com TTL 70s`)
	m := compile(t, d, "example.com")
	if m.Pass4 != 128+1+2 {
		t.Errorf("Pass4 = %d, want 131", m.Pass4)
	}
	want6 := new(big.Int).Lsh(big.NewInt(1), 96)
	if want6.Add(want6, big.NewInt(1)); m.Pass6.Cmp(want6) != 0 {
		t.Errorf("Pass6 = %v, want %v", m.Pass6, want6)
	}
	if m.Live4 != 1<<32-128-128-1-2 {
		t.Errorf("Live4 = %d", m.Live4)
	}
	if m.TTL != 70*time.Second {
		t.Errorf("TTL = %v, want 1m10s", m.TTL)
	}
	if m.Lookups != 3 {
		t.Errorf("Lookups = %d, want 3", m.Lookups)
	}
	if want := []Step{{"example.com", "exists:%{i}.x.test"}}; !slices.Equal(m.Live, want) {
		t.Errorf("Live = %v, want %v", m.Live, want)
	}
	if four, six := m.Exceeds(26, 32); !four || !six {
		t.Errorf("Exceeds(26, 32) = %t, %t, want both", four, six)
	}
	if four, six := m.Exceeds(24, 31); four || six {
		t.Errorf("Exceeds(24, 31) = %t, %t, want neither", four, six)
	}
}

func TestCompile_bounds(t *testing.T) {
	d := zone(`
		example.com TXT v=spf1 ip4:192.0.2.1 ip4:192.0.2.3 ip4:192.0.2.5 mx -all
		example.com MX mail.example.com`)
	for _, o := range []CompileOptions{{MaxRanges: 5}, {MaxQuestions: 2}} {
		if _, err := Compile(context.Background(), d, "example.com", o); !errors.Is(err, ErrTooComplex) {
			t.Errorf("Compile with %+v = %v, want %v", o, err, ErrTooComplex)
		}
	}
	for n, want := range map[int]error{4: nil, 9: ErrTooComplex} { // of records of 150 kB
		huge := newFakeDNS()
		top := "v=spf1"
		for i := range n {
			name := fmt.Sprintf("%d.example.com", i)
			top += " include:" + name
			huge.at(name).txt = []string{"v=spf1" + strings.Repeat(" ip4:192.0.2.10", 10_000)}
		}
		huge.at("example.com").txt = []string{top + " -all"}
		if _, err := Compile(context.Background(), huge, "example.com", CompileOptions{}); !errors.Is(err, want) {
			t.Errorf("Compile of %d huge records = %v, want %v", n, err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Compile(ctx, d, "example.com", CompileOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Compile after cancel = %v", err)
	}
}

// A hostile tree in which every interval takes its own way down must end at
// the bound, not run for ever.
func TestCompile_hostileTree(t *testing.T) {
	d := newFakeDNS()
	var grow func(name string, depth int)
	grow = func(name string, depth int) {
		var b strings.Builder
		b.WriteString("v=spf1")
		if depth > 0 {
			for i := range 6 {
				child := fmt.Sprintf("%d.%s", i, name)
				fmt.Fprintf(&b, " -ip4:%d.0.0.0/%d include:%s", 40*i, 3+depth, child)
				grow(child, depth-1)
			}
		}
		d.at(name).txt = []string{b.String() + " -all"}
	}
	grow("example.com", 4)
	if _, err := Compile(context.Background(), d, "example.com", CompileOptions{MaxQuestions: 50}); err != nil && !errors.Is(err, ErrTooComplex) {
		t.Fatal(err)
	}
	total := 0
	for _, n := range d.asked {
		total += n
	}
	if total > 50 {
		t.Errorf("%d questions, want 50 at most", total)
	}
}

func TestMap_Lookup_edges(t *testing.T) {
	m := compile(t, zone("example.com TXT v=spf1 ip4:255.255.255.255 ip6:::/128 ip6:fe80::2 -all"), "example.com")
	for addr, want := range map[string]Result{
		"fe80::2%eth0": Pass, "fe80::3%eth0": Fail,
		"255.255.255.255": Pass, "255.255.255.254": Fail, "0.0.0.0": Fail, "::": Pass, "::1": Fail,
		"::ffff:255.255.255.255": Pass, "fe80::1%eth0": Fail,
	} {
		if got := resultOf(m, netip.MustParseAddr(addr)); got != want {
			t.Errorf("result of %s = %v, want %v", addr, got, want)
		}
	}
}

// Macros that multiply cost their expansion once, and a bounded one.
func TestCompile_hostileMacros(t *testing.T) {
	var b strings.Builder
	b.WriteString("v=spf1")
	for i := range 1000 {
		fmt.Fprintf(&b, " ip4:10.%d.%d.0/24", i/128, i%128*2)
	}
	b.WriteString(" exists:" + strings.Repeat("%{s}", 10000) + ".x.test -all")
	d := newFakeDNS()
	domain := strings.Repeat("abcdefgh.", 25) + "test"
	d.at(domain).txt = []string{b.String()}
	m := compile(t, d, domain)
	if m.Pass4 != 256000 || len(m.ranges) < 2000 {
		t.Errorf("Pass4 = %d in %d ranges", m.Pass4, len(m.ranges))
	}
	for q := range d.asked {
		if len(q.name) > maxName {
			t.Errorf("asked for a name of %d bytes", len(q.name))
		}
	}
}

// A record that is wrong all over does not flood logs.
func TestCompile_longReasons(t *testing.T) {
	m := compile(t, zone("example.com TXT v=spf1"+strings.Repeat(" möö", 5000)), "example.com")
	for _, p := range m.Problems {
		if len(p.Why) > maxWhy+3 {
			t.Errorf("a reason of %d bytes", len(p.Why))
		}
	}
	if resultOf(m, netip.MustParseAddr("192.0.2.1")) != PermError || len(m.Tree.Why) > maxWhy+3 {
		t.Errorf("result %v, tree %q", resultOf(m, netip.MustParseAddr("192.0.2.1")), m.Tree.Why)
	}
}

func TestCompile_lookups(t *testing.T) {
	m := compile(t, zone(`
		example.com TXT v=spf1 ip4:0.0.0.0/1 mx a ip4:128.0.0.0/2 a -all
		example.com A 192.0.2.1
		example.com AAAA 2001:db8::1
		example.com MX example.com`), "example.com")
	if m.Lookups != 3 {
		t.Errorf("Lookups = %d, want 3: the most of any address", m.Lookups)
	}
	m = compile(t, zone("example.com TXT v=spf1 ip6:::/0 a a\nexample.com A 192.0.2.1"), "example.com")
	if m.Lookups != 2 {
		t.Errorf("Lookups = %d, want 2: the last address is not the dearest", m.Lookups)
	}
}

func TestCompile_family(t *testing.T) {
	m := compile(t, zone(`
		example.com TXT v=spf1 exists:%{v}.test ip6:::ffff:192.0.2.0/120 -all
		in-addr.test A 127.0.0.2`), "example.com")
	var got []string
	for r := range m.Ranges() {
		got = append(got, fmt.Sprint(r.First, " ", r.Last, " ", r.Result))
	}
	want := []string{"0.0.0.0 255.255.255.255 pass", ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fail"}
	if !slices.Equal(got, want) {
		t.Errorf("ranges = %q, want %q", got, want)
	}
	if use := m.Tree.Uses[0]; !use.Asked || len(use.Addrs) != 1 {
		t.Errorf("use of exists = %+v", use)
	}
	m = compile(t, zone("example.com TXT v=spf1 ip4:0.0.0.0/0 a:%{v}.test -all\nip6.test AAAA 2001:db8::1"), "example.com")
	if use := m.Tree.Uses[0]; !use.Asked || !slices.Equal(use.Names, []string{"ip6.test"}) {
		t.Errorf("use of a name that only IPv6 asks = %+v", use)
	}
}
