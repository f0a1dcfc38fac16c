package overrides

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestReady_waits_for_every_source(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.slow = 500 * time.Millisecond
		dns.fail["broken.example"] = true
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		off := allow(func(r *Rule) { r.Name, r.Enabled, r.SPF = "off", false, []string{"off.example"} })
		tl := start(t, dns, Options{}, spfRule("efax.com", "broken.example"), off)
		if isReady(tl.Engine) {
			t.Fatal("ready before anything was asked")
		}
		tl.elapse(time.Second)
		if !isReady(tl.Engine) {
			t.Error("not ready although every source was tried")
		}
		tl.want("ready", "+192.0.2.1")
		if n := dns.count("off.example"); n != 0 {
			t.Errorf("a disabled rule's domain was asked %d times", n)
		}
	})
}

func TestReplace_carries_over(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		dns.txt["jfax.com"] = "v=spf1 ip4:192.0.2.2"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		dns.set(func() { dns.fail["*"] = true })
		if err := tl.Replace([]Rule{spfRule("efax.com", "jfax.com")}); err != nil {
			t.Fatal(err)
		}
		tl.want("at once", "+192.0.2.1", "-192.0.2.2")
		dns.set(func() { dns.fail["*"] = false })
		tl.elapse(time.Minute)
		tl.want("loaded", "+192.0.2.1", "+192.0.2.2")
		bad := spfRule("efax.com")
		bad.CIDR = []string{"192.0.2.5/24"}
		if err := tl.Replace([]Rule{bad}); err == nil {
			t.Fatal("a broken rule was accepted")
		}
		tl.want("after a refused reload", "+192.0.2.1", "+192.0.2.2")
		tight := spfRule("efax.com")
		tight.Except = []string{"192.0.2.1"}
		if err := tl.Replace([]Rule{tight}); err != nil {
			t.Fatal(err)
		}
		tl.want("excepted", "-192.0.2.1", "-192.0.2.2")
		dns.set(func() {
			dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 include:a.example -all"
			dns.txt["a.example"] = "v=spf1 ip4:192.0.2.3"
		})
		tl.elapse(10 * time.Minute)
		tl.want("with the include", "+192.0.2.3")
		tight.Except = append(tight.Except, "spf:a.example")
		if err := tl.Replace([]Rule{tight}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		tl.want("without the include, at once", "-192.0.2.3")
		asked := dns.count("jfax.com")
		tl.elapse(time.Hour)
		if dns.count("jfax.com") != asked {
			t.Error("a source that is gone is still asked for")
		}
	})
}

// Who has mended what kept a source from loading, and reloads, does not wait for
// its next try.
func TestReplace_tries_what_failed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		dns.fail["*"] = true
		dns.txt["jfax.com"] = "v=spf1 ipv4:192.0.2.3"
		srv := &feedServer{answer: answer(503, "")}
		rule := feedRule(func(r *Rule) { r.SPF = []string{"efax.com", "jfax.com", "mfax.com"} })
		tl := start(t, dns, Options{Transport: srv}, rule)
		tl.elapse(time.Hour)
		dns.set(func() { dns.fail = map[string]bool{"efax.com": true} })
		tl.elapse(11 * time.Minute)
		dns.set(func() {
			dns.fail["efax.com"] = false
			dns.txt["jfax.com"], dns.txt["mfax.com"] = "v=spf1 ip4:192.0.2.3", "v=spf1 ip4:192.0.2.4"
		})
		srv.set(answer(200, "192.0.2.2\n"))
		if err := tl.Replace([]Rule{rule}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		tl.want("after the reload", "+192.0.2.1", "+192.0.2.2", "+192.0.2.3", "+192.0.2.4")
		asked := srv.times()
		if err := tl.Replace([]Rule{rule}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		if srv.times() != asked {
			t.Error("a reload has a feed fetched that is well")
		}
	})
}

// A source under another rule's name is what it was, though nobody can be asked
// just then, and is kept under that name too.
func TestReplace_carries_to_another_rule(t *testing.T) {
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2"
	dns.hosts["mail.example"] = "192.0.2.3"
	srv := &feedServer{answer: answer(200, "192.0.2.4\n")}
	opts := Options{Transport: srv, StateDir: t.TempDir()}
	one := []Rule{feedRule(func(r *Rule) { r.SPF, r.A = []string{"efax.com"}, []string{"mail.example"} })}
	two := []Rule{
		feedRule(func(r *Rule) { r.Name = "feed" }),
		allow(func(r *Rule) { r.Name, r.SPF, r.A = "fax", []string{"efax.com"}, []string{"mail.example"} }),
	}
	all := []string{"+192.0.2.1", "+192.0.2.2", "+192.0.2.3", "+192.0.2.4"}
	run(t, dns, opts, one, func(tl *timeline) {
		tl.want("at first", all...)
		dns.set(func() { dns.fail["*"] = true })
		srv.set(answer(503, ""))
		if err := tl.Replace(two); err != nil {
			t.Fatal(err)
		}
		tl.want("at once", all...)
		tl.elapse(5 * time.Minute)
		tl.want("later", all...)
	})
	run(t, dns, opts, two, func(tl *timeline) {
		tl.want("after a restart", all...)
		tight := allow(func(r *Rule) { r.Name, r.SPF, r.MaxV4 = "tight", []string{"efax.com"}, 32 })
		if err := tl.Replace([]Rule{tight}); err != nil {
			t.Fatal(err)
		}
		tl.want("beyond the limit of that rule", "-192.0.2.1", "-192.0.2.4")
	})
}

func TestExpired_rule_says_so_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.2"
		r := allow(func(r *Rule) {
			r.CIDR, r.SPF, r.Expires = []string{"192.0.2.1"}, []string{"efax.com"}, time.Now()
		})
		tl := start(t, dns, Options{}, r)
		tl.want("on its last day", "+192.0.2.1")
		tl.elapse(25 * time.Hour)
		tl.want("after it", "-192.0.2.1", "-192.0.2.2")
		asked := dns.count("efax.com")
		tl.elapse(time.Hour)
		if dns.count("efax.com") != asked {
			t.Error("the sources of an expired rule are still asked for")
		}
		if n := tl.log.count(`msg="rule expired and does nothing any more" rule=efax `); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
}

// A rule that does nothing needs no file, and reads it once it does something.
func TestExpired_rule_needs_no_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	synctest.Test(t, func(t *testing.T) {
		over, off, now := fileRule(path), fileRule(path), fileRule(path)
		over.Expires, off.Enabled = time.Now().AddDate(0, 0, -1), false
		for _, idle := range []Rule{over, off} {
			tl := start(t, nil, Options{}, idle)
			tl.elapse(time.Minute)
			if st := tl.status(); st.Failures > 0 {
				t.Errorf("the file of a rule that does nothing is missed: %s", st.LastError)
			}
			if err := tl.Replace([]Rule{now}); err == nil {
				t.Error("a rule that counts is accepted without its file")
			}
			write(t, path, "192.0.2.1\n")
			if err := tl.Replace([]Rule{now}); err != nil {
				t.Fatal(err)
			}
			tl.want("at once", "+192.0.2.1")
			write(t, path, "192.0.2.2\n")
			tl.elapse(3 * time.Second)
			tl.want("changed", "-192.0.2.1", "+192.0.2.2")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A clock that was fast at the start and is set back makes a rule count again
// whose last day seemed to be over: what it fetches is fetched then.
func TestExpired_by_a_fast_clock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		r := spfRule("efax.com")
		r.Expires = time.Now().AddDate(0, 0, -1)
		tl := start(t, dns, Options{}, r)
		tl.elapse(time.Hour)
		if n := dns.count("efax.com"); n > 0 {
			t.Errorf("the source of a rule that is over was asked for %d times", n)
		}
		tl.mu.Lock()
		tl.rules[0].Expires = time.Now() // instead of the clock
		tl.mu.Unlock()
		tl.elapse(2 * time.Minute)
		tl.want("after the clock", "+192.0.2.1")
	})
}

// What has ended is not counted as open any more, without another change.
func TestExpired_is_not_counted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "rule.txt")
		write(t, path, "192.0.2.2\n192.0.2.3 until "+time.Now().Format(time.DateOnly)+"\n")
		tl := start(t, nil, Options{},
			Rule{Name: "over", Enabled: true, CIDR: []string{"192.0.2.1"}, Expires: time.Now()},
			Rule{Name: "lines", Enabled: true, File: path})
		count := func(when string, want ...float64) {
			t.Helper()
			for i, st := range tl.RuleStatus() {
				if st.V4 != want[i] {
					t.Errorf("%s: rule %s opens %.0f addresses, want %.0f", when, st.Rule, st.V4, want[i])
				}
			}
		}
		count("on their last day", 1, 2)
		tl.elapse(25 * time.Hour)
		count("after it", 0, 1)
	})
}

func TestTable_scope_and_action(t *testing.T) {
	rules := []Rule{
		{Name: "one", Enabled: true, CIDR: []string{"192.0.2.0/24"}, Zones: []string{"One.example."}},
		{Name: "all", Enabled: true, CIDR: []string{"198.51.100.1", "192.0.2.7"}},
		{Name: "bad", Action: Deny, Enabled: true, CIDR: []string{"192.0.2.7"}, Zones: []string{"two.example"}, Text: "no"},
	}
	e, err := Open(rules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	table, now := e.Table(), time.Now().Unix()
	set := table.Lookup(netip.MustParseAddr("::ffff:192.0.2.7"))
	for zone, want := range map[string]string{"one.example": "one", "two.example": "all", "three.example": "all"} {
		if h, ok := set.Allow(zone, now); !ok || h.Rule.Name != want {
			t.Errorf("Allow in %s = %v, %t, want rule %s", zone, h.Rule, ok, want)
		}
	}
	h, ok := set.Deny("two.example", now)
	if !ok || h.Rule.Text != "no" || h.Source.String() != "cidr" || h.Line != 1 {
		t.Errorf("Deny = %+v, %t", h, ok)
	}
	if _, ok := set.Deny("one.example", now); ok {
		t.Error("a deny rule acts outside its zones")
	}
	if _, ok := table.Lookup(netip.MustParseAddr("198.51.100.1")).Allow("", now); !ok {
		t.Error("no zone in particular has no rule without scope")
	}
	if !(&Table{}).Lookup(netip.MustParseAddr("192.0.2.7")).Empty() {
		t.Error("the zero table matches")
	}
}
