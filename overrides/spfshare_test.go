package overrides

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// named is an SPF rule of that name.
func named(name string, f func(*Rule), domains ...string) Rule {
	r := spfRule(domains...)
	r.Name = name
	if f != nil {
		f(&r)
	}
	return r
}

// TestSPF_is_compiled_once_for_all_rules: rules that name one domain share the
// work, and each applies its own guard and its own exceptions.
func TestSPF_is_compiled_once_for_all_rules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.slow = 10 * time.Millisecond
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.0/28 include:_spf.efax.com -all"
		dns.txt["_spf.efax.com"] = "v=spf1 ip4:198.51.100.1 -all"
		tl := start(t, dns, Options{},
			named("a", nil, "efax.com"),
			named("narrow", func(r *Rule) { r.MaxV4 = 30 }, "efax.com"),
			named("holed", func(r *Rule) { r.Except = []string{"192.0.2.1"} }, "efax.com"),
			named("less", func(r *Rule) { r.Except = []string{"spf:_spf.efax.com"} }, "efax.com"),
		)
		tl.elapse(time.Second)
		if n := dns.count("_spf.efax.com"); n != 1 {
			t.Errorf("four rules, one of them without the include, asked for it %d times, want once", n)
		}
		if n := dns.count("efax.com"); n != 2 {
			t.Errorf("the record was asked for %d times, want twice: with and without the include", n)
		}
		opens := func(when string, want map[string]string) {
			t.Helper()
			got := map[string][]string{}
			for x := range tl.Exemptions(Allow) {
				got[x.Rule.Name] = append(got[x.Rule.Name], x.Entry.String())
			}
			for rule, ranges := range want {
				if g := strings.Join(got[rule], " "); g != ranges {
					t.Errorf("%s: the rule %s opens %q, want %q", when, rule, g, ranges)
				}
			}
		}
		opens("at start", map[string]string{
			"a":      "192.0.2.0/28 198.51.100.1",
			"narrow": "",
			"holed":  "192.0.2.0 192.0.2.2-192.0.2.15 198.51.100.1",
			"less":   "192.0.2.0/28",
		})
		dns.set(func() { dns.txt["_spf.efax.com"] = "v=spf1 ip4:198.51.100.2 -all" })
		tl.elapse(5 * time.Minute)
		if n := dns.count("_spf.efax.com"); n != 2 {
			t.Errorf("asked %d times in 5 minutes of a TTL of 5 minutes, want twice", n)
		}
		opens("after the TTL", map[string]string{
			"a":     "192.0.2.0/28 198.51.100.2",
			"holed": "192.0.2.0 192.0.2.2-192.0.2.15 198.51.100.2",
		})
		tl.elapse(time.Hour)
		if n := dns.count("_spf.efax.com"); n > 15 {
			t.Errorf("asked %d times in 65 minutes of a TTL of 5 minutes", n)
		}
	})
}

// TestSPF_shared_by_a_rule_that_comes_later: a record that still holds is not
// compiled anew for another rule, which follows its TTL all the same.
func TestSPF_shared_by_a_rule_that_comes_later(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		tl := start(t, dns, Options{}, named("a", nil, "efax.com"))
		tl.elapse(2 * time.Minute)
		later := []Rule{named("b", nil, "efax.com")}
		if err := tl.Replace(later); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		tl.want("the other rule", "+192.0.2.1")
		if n := dns.count("efax.com"); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		dns.set(func() { dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.2" })
		tl.elapse(3 * time.Minute)
		tl.want("after the record's TTL", "-192.0.2.1", "+192.0.2.2")
	})
}

// TestSPF_shared_failure: what DNS hides of a shared record is for each rule
// as it was before there.
func TestSPF_shared_failure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 include:b.efax.com -all"
		dns.txt["b.efax.com"] = "v=spf1 ip4:198.51.100.1 -all"
		tight := named("tight", nil, "efax.com")
		tight.MaxV4 = 32
		tl := start(t, dns, Options{}, named("a", nil, "efax.com"), tight)
		opens := func(when string, want ...string) {
			t.Helper()
			for i, st := range tl.Status() {
				if got := fmt.Sprintf("%v failing=%t", st.V4, st.LastError != ""); got != want[i] {
					t.Errorf("%s: the rule %s opens %s, want %s (%s)", when, st.Rule, got, want[i], st.LastError)
				}
			}
		}
		opens("at first", "2 failing=false", "0 failing=true")
		dns.set(func() { dns.fail["b.efax.com"] = true })
		tl.elapse(11 * time.Minute)
		opens("with the failure", "2 failing=true", "1 failing=true")
		dns.set(func() { dns.fail["b.efax.com"] = false })
		tl.elapse(11 * time.Minute)
		opens("afterwards", "2 failing=false", "0 failing=true")
	})
}

// TestSPF_shared_reload: a reload cuts the work of the old rules short, and
// not that of the new ones which waited for it.
func TestSPF_shared_reload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.slow = 2 * time.Second
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		tl := start(t, dns, Options{}, named("a", nil, "efax.com"))
		for range 3 {
			tl.elapse(time.Second)
			if err := tl.Replace([]Rule{named("a", nil, "efax.com"), named("b", nil, "efax.com")}); err != nil {
				t.Fatal(err)
			}
		}
		tl.elapse(5 * time.Second)
		for _, st := range tl.Status() {
			if st.V4 != 1 || st.Failures != 0 {
				t.Errorf("the rule %s opens %v addresses after %d failures, want 1 after none", st.Rule, st.V4, st.Failures)
			}
		}
	})
}

// TestSPF_shared_reload_while_judged: what a reload cuts short is not taken for
// narrow enough.
func TestSPF_shared_reload_while_judged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := liveDNS()
		dns.slow = 500 * time.Millisecond
		dns.exists = func(string) bool { return true }
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		for tl.dns.count("_spf.efax.com")+tl.dns.count("efax.com") == 0 {
			tl.elapse(100 * time.Millisecond)
		}
		tl.elapse(700 * time.Millisecond) // the record is there, and samples are asked for
		if err := tl.Replace([]Rule{spfRule("efax.com")}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Minute)
		tl.want("the fixed part", "+203.0.113.1")
		if st := tl.status(); !strings.Contains(st.LastError, "too broad") {
			t.Errorf("LastError = %q, want too broad", st.LastError)
		}
	})
}
