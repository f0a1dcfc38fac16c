package overrides

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dnsblproxy/overrides/spf"
)

func spfRule(domains ...string) Rule { return allow(func(r *Rule) { r.SPF = domains }) }

// Each of these is a timeline: what DNS says, what time passes, and who is
// exempt then. Times are fake.

func TestSPF_follows_the_TTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 include:_spf.efax.com -all"
		dns.txt["_spf.efax.com"] = "v=spf1 -ip4:192.0.2.9 ip4:192.0.2.0/28 ip6:2001:db8::/48 ?all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		if !isReady(tl.Engine) {
			t.Fatal("not ready after the first load")
		}
		tl.want("at start", "+192.0.2.1", "-192.0.2.9", "-192.0.2.16", "+2001:db8::1", "-198.51.100.1")
		dns.set(func() { dns.txt["_spf.efax.com"] = "v=spf1 ip4:198.51.100.0/24" })
		tl.elapse(4 * time.Minute)
		tl.want("before the TTL", "+192.0.2.1", "-198.51.100.1")
		tl.elapse(time.Minute)
		tl.want("after the TTL", "-192.0.2.1", "+198.51.100.1")
		if n := dns.count("efax.com"); n != 2 {
			t.Errorf("efax.com was asked %d times in 5 minutes of a TTL of 5 minutes, want 2", n)
		}
	})
}

func TestSPF_clamps_short_and_long_TTLs(t *testing.T) {
	for _, tt := range []struct {
		name       string
		ttl        time.Duration
		first, per time.Duration // no refresh before, one at the latest after
	}{
		{"zero", 0, 50 * time.Second, 61 * time.Second},
		{"a week", 7 * 24 * time.Hour, 21 * time.Hour, 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns := newFakeDNS()
				dns.ttl = tt.ttl
				dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
				tl := start(t, dns, Options{}, spfRule("efax.com"))
				tl.elapse(tt.first)
				if n := dns.count("efax.com"); n != 1 {
					t.Errorf("asked %d times after %s, want once", n, tt.first)
				}
				tl.elapse(tt.per - tt.first)
				if n := dns.count("efax.com"); n != 2 {
					t.Errorf("asked %d times after %s, want twice", n, tt.per)
				}
			})
		})
	}
}

func TestSPF_rotation_of_answers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 a:pool.efax.com -all"
		dns.hosts["pool.efax.com"] = "192.0.2.1 192.0.2.2"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		dns.set(func() { dns.hosts["pool.efax.com"] = "192.0.2.2 192.0.2.1" })
		before := tl.Table()
		tl.elapse(5 * time.Minute)
		if tl.Table() != before {
			t.Error("the same addresses in another order made a new table")
		}
		dns.set(func() { dns.hosts["pool.efax.com"] = "192.0.2.2 192.0.2.3" })
		tl.elapse(5 * time.Minute)
		tl.want("after the change", "-192.0.2.1", "+192.0.2.2", "+192.0.2.3")
	})
}

// TestSPF_many: the log tells how many addresses there are, digit by digit.
func TestSPF_many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:10.0.0.0/12 ip4:10.16.0.1 -all"
		r := spfRule("efax.com")
		r.MaxV4 = 8
		tl := start(t, dns, Options{}, r)
		if tl.log.count("ipv4=1048577 ipv6=0 domains=0") != 1 {
			t.Error(tl.log.b.String())
		}
	})
}

// TestSPF_first_failure: the log does not say that a source was loaded, or that
// its last good set stays, where there is none.
func TestSPF_first_failure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 -all"
		dns.fail["efax.com"] = true
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		dns.set(func() { dns.fail["efax.com"], dns.txt["efax.com"] = false, "no record" })
		tl.elapse(time.Hour)
		if n := tl.log.count(`msg="rule source failed" rule=efax source=`); n != 2 { // the rule as decisions and metrics name it
			t.Errorf("%d failures are in the log, want 2: %s", n, tl.log.b.String())
		}
		for _, wrong := range []string{"rule source loaded", "keeps_last_good=true"} {
			if tl.log.count(wrong) > 0 {
				t.Errorf("the log says %q: %s", wrong, tl.log.b.String())
			}
		}
		dns.set(func() { dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 -all" })
		tl.elapse(time.Hour)
		tl.want("once there is a record", "+192.0.2.1")
	})
}

func TestSPF_temperror_keeps_what_it_hides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 include:b.efax.com ip4:203.0.113.1 -all"
		dns.txt["b.efax.com"] = "v=spf1 ip4:198.51.100.1 -all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		dns.set(func() {
			dns.fail["b.efax.com"] = true
			dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.2 include:b.efax.com ip4:203.0.113.1 -all"
		})
		tl.elapse(5 * time.Minute)
		// 192.0.2.2 stands before the include and is known; what stands
		// behind it is as before, for the include might match.
		tl.want("during the failure", "+192.0.2.2", "+198.51.100.1", "+203.0.113.1", "+192.0.2.1", "-10.0.0.1")
		if st := tl.status(); st.LastError == "" || st.Failures == 0 {
			t.Errorf("status = %+v, want the failure in it", st)
		}
		if n := tl.log.count("rule source failed"); n != 1 {
			t.Errorf("the failure was logged %d times, want once", n)
		}
		failures := tl.status().Failures
		tl.elapse(61 * time.Second)
		if tl.status().Failures == failures {
			t.Error("no retry within a minute of the first failures")
		}
		dns.set(func() { dns.fail["b.efax.com"] = false })
		tl.elapse(11 * time.Minute)
		tl.want("after it", "-192.0.2.1", "+198.51.100.1")
		if st := tl.status(); st.LastError != "" {
			t.Errorf("LastError = %q after recovery", st.LastError)
		}
	})
}

func TestSPF_gives_up_after_a_day(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		dns.set(func() { dns.fail["*"] = true })
		tl.elapse(23 * time.Hour)
		tl.want("within the day", "+192.0.2.1")
		if n := dns.count("efax.com"); n < 130 || n > 160 {
			t.Errorf("asked %d times in 23 h, want about one in ten minutes", n)
		}
		tl.elapse(90 * time.Minute)
		tl.want("after the day", "-192.0.2.1")
		dns.set(func() { dns.fail["*"] = false })
		tl.elapse(11 * time.Minute)
		tl.want("when DNS is back", "+192.0.2.1")
	})
}

// noAAAA is a DNS of which nobody gets an IPv6 address any more.
type noAAAA struct{ *fakeDNS }

func (d noAAAA) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	if t == spf.TypeAAAA && d.count("aaaa") > 0 {
		return spf.Answer{}, errServfail
	}
	return d.fakeDNS.Lookup(ctx, name, t)
}

func TestHosts_one_family_fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.hosts["mail.example.com"] = "192.0.2.1 2001:db8::1"
		r := allow(func(r *Rule) { r.A = []string{"mail.example.com"} })
		tl := start(t, nil, Options{Resolver: noAAAA{dns}}, r)
		tl.want("at start", "+192.0.2.1", "+2001:db8::1")
		dns.set(func() {
			dns.asked["aaaa"] = 1
			dns.hosts["mail.example.com"] = "192.0.2.2"
		})
		tl.elapse(6 * time.Minute)
		tl.want("moved", "-192.0.2.1", "+192.0.2.2", "+2001:db8::1")
	})
}

// A part that nobody can be asked about for days takes nothing else with it when
// that fails for a moment, too.
func TestSources_partly_dead_for_days(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 include:good.example include:dead.example -all"
		dns.txt["good.example"] = "v=spf1 ip4:192.0.2.2"
		dns.txt["dead.example"] = "v=spf1 ip4:192.0.2.3"
		dns.mx["efax.com"] = "mx1.example mx2.example"
		dns.hosts["mx1.example"], dns.hosts["mx2.example"] = "192.0.2.11", "192.0.2.12"
		r := spfRule("efax.com")
		r.MX = r.SPF
		tl := start(t, dns, Options{}, r)
		fail := func(names ...string) {
			dns.set(func() {
				dns.fail = map[string]bool{"dead.example": true, "mx1.example": true}
				for _, n := range names {
					dns.fail[n] = true
				}
			})
		}
		fail()
		tl.elapse(23 * time.Hour)
		tl.want("within the day", "+192.0.2.1", "+192.0.2.2", "+192.0.2.3", "+192.0.2.11", "+192.0.2.12")
		tl.elapse(7 * time.Hour)
		rest := []string{"+192.0.2.1", "+192.0.2.2", "-192.0.2.3", "-192.0.2.11", "+192.0.2.12"}
		tl.want("after it", rest...)
		if n := tl.log.count("level=WARN msg=\"rule source loaded in part\""); n != 2 {
			t.Errorf("what goes after a day is in the log %d times, want once for each source\n%s", n, tl.log.b.String())
		}
		fail("good.example")
		tl.elapse(20 * time.Minute)
		tl.want("while another part fails", rest...)
		fail("efax.com")
		tl.elapse(23 * time.Hour)
		tl.want("while all of it fails", rest...)
		tl.elapse(25 * time.Hour)
		tl.want("two days later", "-192.0.2.1", "-192.0.2.2", "-192.0.2.12")
		if n := tl.log.count("opens nothing any more"); n != 2 {
			t.Errorf("that is in the log %d times, want once for each source\n%s", n, tl.log.b.String())
		}
		fail()
		tl.elapse(11 * time.Minute)
		tl.want("back", rest...)
	})
}

func TestSPF_what_the_domain_says_takes_effect(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after string // the record; empty: none
		log   string
	}{
		{"permerror", "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2", "permerror"},
		{"vanished", "", "no such name"},
		{"all closed", "v=spf1 -all", ""},
		{"opens the world", "v=spf1 +all", "refused whole"},
		{"opens half the world", "v=spf1 ip4:0.0.0.0/1 -all", "refused whole"},
		{"opens IPv6", "v=spf1 ip6:2000::/3 -all", "refused whole"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns := newFakeDNS()
				dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
				tl := start(t, dns, Options{}, spfRule("efax.com"))
				tl.want("at first", "+192.0.2.1")
				dns.set(func() {
					if dns.txt["efax.com"] = tt.after; tt.after == "" {
						delete(dns.txt, "efax.com")
					}
				})
				tl.elapse(5 * time.Minute)
				tl.want("after", "-192.0.2.1", "-10.1.2.3", "-2001:db8::1")
				if tt.log != "" && tl.log.count(tt.log) == 0 {
					t.Errorf("the log has no %q:\n%s", tt.log, tl.log.b.String())
				}
				if tl.log.count("opens nothing any more") != 1 {
					t.Errorf("the log does not say once that the source opens nothing:\n%s", tl.log.b.String())
				}
				if tl.log.count("keeps_last_good=true") > 0 {
					t.Errorf("the log says that the last good set stays:\n%s", tl.log.b.String())
				}
				if got, want := tl.status().LastError != "", tt.log != ""; got != want {
					t.Errorf("LastError = %q", tl.status().LastError)
				}
				dns.set(func() { dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1" })
				tl.elapse(6 * time.Minute)
				tl.want("mended", "+192.0.2.1")
			})
		})
	}
}

// TestSPF_partly_broken: whom a record authorizes before it comes to what is broken
// passes, as with every receiver of mail (RFC 7208, section 4.6.2).
func TestSPF_partly_broken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 include:gone.example ip4:198.51.100.1 -all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.want("before and behind the broken include", "+192.0.2.1", "-198.51.100.1")
		st := tl.status()
		if st.LastError != "" || len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], "permerror for some addresses") {
			t.Errorf("LastError = %q, warnings %q", st.LastError, st.Warnings)
		}
	})
}

func TestSPF_guard_counts_what_is_opened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:10.0.0.0/24 -all"
		dns.txt["big.example"] = "v=spf1 ip4:10.0.0.0/24 ip4:10.0.2.1 -all"
		r := spfRule("efax.com", "big.example")
		r.MaxV4 = 24
		tl := start(t, dns, Options{}, r)
		tl.want("a /24 fits into /24, one more does not", "+10.0.0.1", "-10.0.2.1")
		for _, st := range tl.Status() {
			if got, want := st.LastError != "", st.Source.Name == "big.example"; got != want {
				t.Errorf("LastError of %s = %q", st.Source, st.LastError)
			}
		}
	})
}

func TestHosts_a_and_mx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.hosts["mail.example.com"] = "192.0.2.1 2001:db8::1"
		dns.mx["example.com"] = "mx1.example.com. MX2.example.com."
		dns.hosts["mx1.example.com"] = "192.0.2.11"
		dns.hosts["mx2.example.com"] = "192.0.2.12 2001:db8::12"
		tl := start(t, dns, Options{}, allow(func(r *Rule) {
			r.A, r.MX = []string{"mail.example.com"}, []string{"example.com"}
		}))
		all := []string{"+192.0.2.1", "+2001:db8::1", "+192.0.2.11", "+192.0.2.12", "+2001:db8::12", "-192.0.2.2"}
		tl.want("at start", all...)
		dns.set(func() { dns.fail["mx2.example.com"], dns.fail["mail.example.com"] = true, true })
		tl.elapse(time.Hour)
		tl.want("while some fail", all...)
		dns.set(func() {
			dns.fail = map[string]bool{}
			delete(dns.hosts, "mail.example.com")
			dns.mx["example.com"] = "."
		})
		tl.elapse(11 * time.Minute)
		tl.want("gone", "-192.0.2.1", "-192.0.2.11", "-192.0.2.12")
		if tl.log.count("has no address") == 0 {
			t.Error("a host without addresses is not in the log")
		}
	})
}
