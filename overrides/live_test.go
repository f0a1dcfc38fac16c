package overrides

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dnsblproxy/overrides/spf"
)

// liveDNS authorizes by name: _spf.efax.com exists below a listed address.
func liveDNS(pass ...string) *fakeDNS {
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:203.0.113.1 exists:%{i}._spf.efax.com -all"
	dns.exists = func(name string) bool {
		for _, p := range pass {
			if name == p+"._spf.efax.com" {
				return true
			}
		}
		return false
	}
	return dns
}

// live evaluates the address as the resolver does and returns the verdict.
func (tl *timeline) live(addr string) (pass bool) {
	tl.t.Helper()
	a := netip.MustParseAddr(addr)
	hits := tl.Table().Lookup(a).Live("", time.Now().Unix())
	if len(hits) == 0 {
		return false
	}
	calls := 0
	tl.LiveStart(a, hits, func() { calls++ })
	time.Sleep(1600 * time.Millisecond)
	synctest.Wait()
	if calls != 1 {
		tl.t.Fatalf("done was called %d times in 1.6 s, want once", calls)
	}
	for _, h := range hits {
		v := tl.LiveKnown(h, a)
		if v == LiveUnknown {
			tl.t.Fatalf("LiveKnown(%s, %s) is unknown after done", h.Source, addr)
		}
		pass = pass || v == LivePasses
	}
	return pass
}

func (tl *timeline) wantLive(when, addr string, want bool) {
	tl.t.Helper()
	if got := tl.live(addr); got != want {
		tl.t.Fatalf("%s: %s passes: %t, want %t\n%s", when, addr, got, want, tl.log.b.String())
	}
}

func TestLive_evaluates_one_address(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := start(t, liveDNS("192.0.2.1"), Options{}, spfRule("efax.com"))
		tl.want("live terms are no fixed match", "+203.0.113.1", "-192.0.2.1", "-192.0.2.2")
		if len(tl.Table().Lookup(netip.MustParseAddr("203.0.113.1")).Live("", time.Now().Unix())) > 0 {
			t.Error("what passes for sure is live too")
		}
		tl.wantLive("first", "192.0.2.1", true)
		tl.wantLive("neighbour", "192.0.2.2", false)
		asked := tl.dns.count("192.0.2.1._spf.efax.com")
		a := netip.MustParseAddr("192.0.2.1")
		hit := tl.Table().Lookup(a).Live("", time.Now().Unix())[0]
		if tl.LiveKnown(hit, netip.MustParseAddr("::ffff:192.0.2.1")) != LivePasses {
			t.Error("the verdict is not known for the mapped form of the address")
		}
		tl.elapse(6 * time.Minute)
		if tl.LiveKnown(hit, a) != LiveUnknown {
			t.Error("the verdict outlives its TTL")
		}
		tl.wantLive("again", "192.0.2.1", true)
		if got := tl.dns.count("192.0.2.1._spf.efax.com") - asked; got != 1 {
			t.Errorf("asked %d times anew, want once", got)
		}
	})
}

func TestLive_temperror_is_the_last_known_for_a_day(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := start(t, liveDNS("192.0.2.1"), Options{}, spfRule("efax.com"))
		tl.wantLive("first", "192.0.2.1", true)
		tl.dns.set(func() {
			tl.dns.fail["192.0.2.1._spf.efax.com"], tl.dns.fail["192.0.2.7._spf.efax.com"] = true, true
		})
		tl.elapse(10 * time.Minute)
		tl.wantLive("failing", "192.0.2.1", true)
		tl.wantLive("failing, never known", "192.0.2.7", false)
		hit := Hit{Rule: tl.rules[0], Source: sourceOf(KindSPF, "efax.com")}
		for addr, want := range map[string]LiveVerdict{"192.0.2.1": LivePasses, "192.0.2.7": LiveUnsure} {
			if got := tl.LiveKnown(hit, netip.MustParseAddr(addr)); got != want {
				t.Errorf("LiveKnown of %s = %d, want %d", addr, got, want)
			}
		}
		tl.dns.set(func() {
			tl.dns.fail = map[string]bool{}
			tl.dns.exists = func(name string) bool { return strings.HasPrefix(name, "192.0.2.7.") }
		})
		tl.elapse(30 * time.Second)
		tl.wantLive("30 s later", "192.0.2.7", true)
		tl.wantLive("30 s later", "192.0.2.1", false)
		tl.dns.set(func() { tl.dns.fail["192.0.2.7._spf.efax.com"] = true })
		tl.elapse(23 * time.Hour)
		tl.wantLive("within a day", "192.0.2.7", true)
		tl.elapse(2 * time.Hour)
		tl.wantLive("a day later", "192.0.2.7", false)
	})
}

// While DNS hides a part of a record, the live terms in it stay to be evaluated.
func TestLive_temperror_keeps_hidden_terms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS("192.0.2.1")
		dns.txt["_spf.efax.com"], dns.txt["efax.com"] = dns.txt["efax.com"], "v=spf1 include:_spf.efax.com -all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.wantLive("before", "192.0.2.1", true)
		dns.set(func() { dns.fail["_spf.efax.com"] = true })
		tl.elapse(6 * time.Minute)
		tl.wantLive("hidden", "192.0.2.1", true)
	})
}

// TestLive_late: that a name could not be found in time is not that it is not the
// domain's (RFC 7208, section 5.5, has a failure of ptr be no match): what was
// known goes on counting, and it is asked anew soon.
func TestLive_late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ptr:efax.com -all"
		for _, a := range []string{"1", "2"} {
			dns.mx[a+".2.0.192.in-addr.arpa"], dns.hosts["mail"+a+".efax.com"] = "mail"+a+".efax.com", "192.0.2."+a
		}
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.wantLive("in time", "192.0.2.1", true)
		tl.elapse(6 * time.Minute)
		dns.set(func() { dns.slow = 2 * time.Second })
		tl.wantLive("late", "192.0.2.1", true)
		tl.wantLive("late, never known", "192.0.2.2", false)
		a := netip.MustParseAddr("192.0.2.2")
		hit := tl.Table().Lookup(a).Live("", time.Now().Unix())[0]
		tl.elapse(20 * time.Second)
		if tl.LiveKnown(hit, a) == LiveUnknown {
			t.Error("it is asked anew by every question")
		}
		tl.elapse(10 * time.Second)
		if tl.LiveKnown(hit, a) != LiveUnknown {
			t.Error("it is taken for known half a minute later")
		}
	})
}

func TestLive_shares_time_and_questions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		var domains []string
		for i := range 30 {
			d := fmt.Sprintf("d%d.example", i)
			domains = append(domains, d)
			dns.txt[d] = "v=spf1 exists:a.%{i}." + d + " exists:b.%{i}." + d + " -all"
			dns.hosts["a.192.0.2.1."+d], dns.hosts["b.192.0.2.1."+d] = "", ""
		}
		tl := start(t, dns, Options{}, spfRule(domains...))
		total := func() (n int) {
			dns.set(func() {
				for _, c := range dns.asked {
					n += c
				}
			})
			return n
		}
		before := total()
		tl.wantLive("nothing passes", "192.0.2.1", false)
		if n := total() - before; n > 50 {
			t.Errorf("%d DNS questions for one address, want 50 at most", n)
		}
		dns.slow = time.Second
		began := time.Now()
		a := netip.MustParseAddr("192.0.2.2")
		hits := tl.Table().Lookup(a).Live("", time.Now().Unix())
		var took []time.Duration
		for i := range 2 { // the second comes a second later and shares the time
			tl.LiveStart(a, hits[i:], func() { dns.set(func() { took = append(took, time.Since(began)) }) })
			tl.elapse(time.Second)
		}
		tl.elapse(time.Minute)
		if len(took) != 2 || took[0] != 1500*time.Millisecond || took[1] != 1500*time.Millisecond {
			t.Errorf("done after %v, want both 1.5 s after the first start", took)
		}
	})
}

// A mail asks what depends on its address and nothing else, so that fifty domains
// can speak for it; of more, those that were not asked come with the next mail.
func TestLive_asks_what_depends_on_the_address(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		var domains []string
		for i := range 60 {
			d := fmt.Sprintf("d%d.example", i)
			domains = append(domains, d)
			dns.txt[d] = "v=spf1 include:_spf." + d + " -all"
			dns.txt["_spf."+d] = "v=spf1 exists:%{i}." + d + " -all"
			dns.hosts["192.0.2.1."+d] = "127.0.0.2"
		}
		tl := start(t, dns, Options{}, spfRule(domains...))
		a := netip.MustParseAddr("192.0.2.1")
		hits := tl.Table().Lookup(a).Live("", time.Now().Unix())
		for mail, want := range []int{50, 60} {
			tl.wantLive("at any time", "192.0.2.1", true)
			n := 0
			for _, h := range hits {
				if tl.LiveKnown(h, a) == LivePasses {
					n++
				}
			}
			if n != want {
				t.Errorf("mail %d: %d domains pass, want %d", mail+1, n, want)
			}
			tl.elapse(liveUnsure)
		}
		if n := dns.count("_spf.d0.example"); n != 1 {
			t.Errorf("a record was asked for %d times, want once, when it was compiled", n)
		}
	})
}

// TestLive_keeps_no_large_answers: whose record leads to another one for each
// address could have us keep 64 KiB for each.
func TestLive_keeps_no_large_answers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 include:%{i}.efax.com -all"
		padded := "v=spf1 +all" + strings.Repeat(" x=y", 10_000)
		dns.txt["192.0.2.1.efax.com"], dns.txt["192.0.2.2.efax.com"] = padded, "v=spf1 +all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.wantLive("a large answer", "192.0.2.1", true)
		tl.wantLive("a small one", "192.0.2.2", true)
		kept := tl.Engine.live.answers.kept
		if _, ok := kept[asked{"192.0.2.1.efax.com", spf.TypeTXT}]; ok {
			t.Errorf("%d octets of one answer are kept", len(padded))
		}
		if _, ok := kept[asked{"192.0.2.2.efax.com", spf.TypeTXT}]; !ok {
			t.Error("a small answer is not kept")
		}
	})
}

func TestLive_refuses_what_passes_for_everybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS()
		dns.exists = func(string) bool { return true }
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.want("the fixed part stays", "+203.0.113.1", "-192.0.2.1")
		if len(tl.Table().Lookup(netip.MustParseAddr("192.0.2.1")).Live("", time.Now().Unix())) > 0 {
			t.Error("a term that passes for everybody is still asked")
		}
		if st := tl.status(); !strings.Contains(st.LastError, "too broad") {
			t.Errorf("LastError = %q, want too broad", st.LastError)
		}
	})
}

func TestLive_refuses_it_while_a_part_fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:203.0.113.1 a:%{v}.efax.com exists:%{i}.yes.example -all"
		dns.hosts["in-addr.efax.com"] = "203.0.113.2"
		dns.fail["ip6.efax.com"] = true
		dns.exists = func(string) bool { return true }
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.want("the fixed part stays", "+203.0.113.1", "+203.0.113.2", "-192.0.2.1")
		if len(tl.Table().Lookup(netip.MustParseAddr("192.0.2.1")).Live("", time.Now().Unix())) > 0 {
			t.Error("a term that passes for everybody is asked because another one fails for IPv6")
		}
		for _, want := range []string{"too broad", errServfail.Error()} {
			if st := tl.status(); !strings.Contains(st.LastError, want) {
				t.Errorf("LastError = %q, want %s", st.LastError, want)
			}
		}
	})
}

func TestLive_counts_against_the_guard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS()
		dns.exists = func(name string) bool { return strings.HasPrefix(name, "192.0.2.") }
		r := spfRule("efax.com")
		r.MaxV4 = 30 // four addresses, one of them fixed
		tl := start(t, dns, Options{}, r)
		for i, want := range []bool{true, true, true, false, false} {
			tl.wantLive("in turn", fmt.Sprintf("192.0.2.%d", i), want)
		}
		tl.elapse(6 * time.Minute)
		tl.wantLive("one that was counted", "192.0.2.1", true)
		if n := tl.log.count("live terms have passed as many"); n != 1 {
			t.Errorf("the guard was logged %d times, want once\n%s", n, tl.log.b.String())
		}
		tl.elapse(25 * time.Hour)
		tl.wantLive("a day later", "192.0.2.4", true)
	})
}

// As many addresses are counted as the default guard refuses.
func TestLive_default_guard_can_be_reached(t *testing.T) {
	bits4, _ := new(Rule).limits()
	if !(count{0, maxPassed}).above(bits4) {
		t.Errorf("%d addresses are counted, and as many are permitted", maxPassed)
	}
}

// What was known of an address under other exceptions or another guard is not
// what is asked now.
func TestLive_follows_a_reload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS("192.0.2.1", "192.0.2.2")
		dns.txt["efax.com"] = "v=spf1 include:sub.efax.com -all"
		dns.txt["sub.efax.com"] = "v=spf1 exists:%{i}._spf.efax.com exists:%{i}.other.example -all"
		dns.hosts["192.0.2.1.other.example"] = ""
		r := spfRule("efax.com")
		r.MaxV4 = 32 // one address
		tl := start(t, dns, Options{}, r)
		tl.wantLive("first", "192.0.2.1", true)
		tl.wantLive("beyond the guard", "192.0.2.2", false)
		known := func(addr string) bool {
			a := netip.MustParseAddr(addr)
			return tl.LiveKnown(Hit{Rule: tl.rules[0], Source: sourceOf(KindSPF, "efax.com")}, a) != LiveUnknown
		}
		if err := tl.Replace([]Rule{r}); err != nil {
			t.Fatal(err)
		}
		if !known("192.0.2.1") {
			t.Error("a reload of the same rule forgets what is known")
		}
		r.MaxV4 = 30
		if err := tl.Replace([]Rule{r}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		if known("192.0.2.2") {
			t.Error("the old guard's refusal outlives it")
		}
		tl.wantLive("within the new guard", "192.0.2.2", true)
		r.Except = []string{"spf:sub.efax.com"}
		if err := tl.Replace([]Rule{r}); err != nil {
			t.Fatal(err)
		}
		if known("192.0.2.2") {
			t.Error("what an include let in is known to pass although it is left out")
		}
		tl.wantLive("without the include", "192.0.2.2", false)
		r.Except = nil
		for _, rules := range [][]Rule{nil, {r}} {
			if err := tl.Replace(rules); err != nil {
				t.Fatal(err)
			}
		}
		if v, p := len(tl.Engine.live.verdicts), len(tl.Engine.live.passed); v+p > 0 {
			t.Errorf("a rule that was gone meanwhile still knows of %d addresses, and counts for %d sources", v, p)
		}
	})
}

// What was under way when the exceptions changed is known to its waiters only.
func TestLive_reload_meanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS("192.0.2.1")
		dns.txt["jfax.com"] = "v=spf1 include:efax.com -all"
		r := spfRule("jfax.com")
		tl := start(t, dns, Options{}, r)
		dns.set(func() { dns.slow = time.Second })
		a := netip.MustParseAddr("192.0.2.1")
		hits := tl.Table().Lookup(a).Live("", time.Now().Unix())
		done := false
		tl.LiveStart(a, hits, func() { done = true })
		tl.elapse(time.Millisecond)
		r.Except = []string{"spf:efax.com"}
		if err := tl.Replace([]Rule{r}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(2 * time.Second)
		if v := tl.LiveKnown(hits[0], a); v == LiveUnknown || !done {
			t.Errorf("done: %t, with the verdict %d", done, v)
		}
		tl.elapse(liveLeast)
		if tl.LiveKnown(hits[0], a) == LivePasses {
			t.Error("the include that is left out goes on passing")
		}
	})
}

func TestLive_after_the_end(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS("192.0.2.1")
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		a := netip.MustParseAddr("192.0.2.1")
		hits := tl.Table().Lookup(a).Live("", time.Now().Unix())
		dns.slow = time.Hour
		calls := 0
		tl.LiveStart(a, hits, func() { calls++ })
		tl.cancel()
		tl.elapse(0)
		if calls != 1 {
			t.Fatalf("done was called %d times when Run ended, want once", calls)
		}
		tl.LiveStart(a, hits, func() { calls++ })
		synctest.Wait()
		if calls != 2 {
			t.Errorf("done was not called after the end of Run")
		}
	})
}

func TestSPF_ranges_around_mapped_addresses_are_kept(t *testing.T) {
	opts := Options{StateDir: t.TempDir()}
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 -ip6:::ffff:0:0/97 ip6:::/79 ip4:10.0.0.1 -all"
	rules := []Rule{spfRule("efax.com")}
	all := []string{"+::fffe:1.2.3.4", "+10.0.0.1", "-::ffff:1.2.3.4", "+::1:0:0:1", "-::2:0:0:1"}
	run(t, dns, opts, rules, func(tl *timeline) { tl.want("compiled", all...) })
	dns.fail["*"] = true
	run(t, dns, opts, rules, func(tl *timeline) {
		tl.want("kept", all...)
		if tl.log.count("kept set not used") > 0 {
			t.Error(tl.log.b.String())
		}
	})
}
