package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// What the tests of RFC 5782, section 5 make of a list.
func TestList_examine(t *testing.T) {
	hasLocalhost := blocklist("bl.example.", "1.0.0.127")
	listed := blocklist("bl.example.")
	rewritten := func(m *dns.Msg) *dns.Msg { // by a resolver that knows no NXDOMAIN
		if r := listed(m); r.Rcode == dns.RcodeSuccess {
			return r
		}
		return always("203.0.113.80")(m)
	}
	empty := func(m *dns.Msg) *dns.Msg { return failing(3)(m) }
	var asked atomic.Int32
	odd := func(m *dns.Msg) *dns.Msg { // a bit has turned over in an answer, once
		if dns.CanonicalName(m.Question[0].Name) == "1.0.0.127.bl.example." && asked.Add(1) == 1 {
			return hasLocalhost(m)
		}
		return listed(m)
	}
	tests := []struct {
		name   string
		answer func(*dns.Msg) *dns.Msg
		judge  rbl.Probe
		want   Condition
		reason string
	}{
		{"good", blocklist("bl.example."), rbl.ProbeRFC, Healthy, ""},
		{"lists the world", always("127.0.0.2"), rbl.ProbeRFC, Quarantined, "127.0.0.1"},
		{"lists 127.0.0.1", hasLocalhost, rbl.ProbeRFC, Quarantined, "127.0.0.1"},
		{"lists 127.0.0.1 by design", hasLocalhost, rbl.ProbeRandom, Healthy, ""},
		{"lists the world, test entries aside", always("127.0.0.2"), rbl.ProbeRandom, Quarantined, "random"},
		{"answers all by design", always("127.0.4.7"), rbl.ProbeNone, Healthy, ""},
		{"lists nothing", empty, rbl.ProbeRFC, Suspect, "test entry"},
		{"lists nothing, and need not", empty, rbl.ProbeNone, Healthy, ""},
		{"lists 127.0.0.1 once", odd, rbl.ProbeRFC, Healthy, ""},
		{"parked", always("203.0.113.5"), rbl.ProbeRFC, Unreachable, "outside_127"},
		{"error code", always("127.255.255.254"), rbl.ProbeRFC, Unreachable, "blocked"},
		{"code that is no listing", always("127.0.0.1"), rbl.ProbeRFC, Suspect, "test entry"},
		{"errors in the place of NXDOMAIN", rewritten, rbl.ProbeRFC, Suspect, "outside_127"},
		{"silent", nil, rbl.ProbeRFC, Unreachable, "no answer"},
		{"refuses", failing(5), rbl.ProbeRFC, Unreachable, "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := guard(t, tt.answer, func(o *ListOptions) { o.Probe, o.Judge = true, tt.judge })
				defer g.end()
				time.Sleep(4 * time.Second)
				s := g.State()
				if s.Condition != tt.want || !strings.Contains(s.Reason, tt.reason) || (s.Reason == "") != (tt.want == Healthy) {
					t.Errorf("state %v %q, want %v", s.Condition, s.Reason, tt.want)
				}
				voids := 0
				if tt.want == Quarantined {
					voids = 1
				}
				if g.mu.Lock(); g.voids != voids {
					t.Errorf("OnVoid was called %d times, want %d", g.voids, voids)
				}
				g.mu.Unlock()
				g.host.become(blocklist("bl.example."))
				time.Sleep(7 * time.Minute)
				if s := g.State(); s.Condition != Healthy {
					t.Errorf("after it was mended: %v %q", s.Condition, s.Reason)
				}
			})
		})
	}
}

// Nobody waits for the tests of a list that is not tested.
func TestList_notExamined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, always("127.0.0.2"), nil)
		defer g.end()
		<-g.Examined()
	})
}

// A list whose test entry has a code that is no listing here, because of "listed",
// is no worse for it.
func TestList_codesLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, blocklist("bl.example."), func(o *ListOptions) {
			o.Probe, o.Listed = true, func(c rbl.Code) bool { return c == rbl.CodeListed+1 }
		})
		defer g.end()
		time.Sleep(time.Hour)
		if s := g.State(); s.Condition != Healthy {
			t.Errorf("state %+v", s)
		}
	})
}

// A trouble that lasts is told once: not again for each subject that was tested,
// for each order in which a parked domain's addresses come, nor for each time that
// a resolver gives up before we do.
func TestList_toldOnce(t *testing.T) {
	silent := func(*dns.Msg) *dns.Msg { return nil }
	odd := false
	inTurns := func(a, b func(*dns.Msg) *dns.Msg) func(*dns.Msg) *dns.Msg {
		return func(m *dns.Msg) *dns.Msg {
			if odd = !odd; odd {
				return a(m)
			}
			return b(m)
		}
	}
	both := func(a, b string) func(*dns.Msg) *dns.Msg {
		return func(m *dns.Msg) *dns.Msg {
			r := always(a)(m)
			r.Answer = append(r.Answer, always(b)(m).Answer...)
			return r
		}
	}
	tests := []struct {
		name   string
		answer func(*dns.Msg) *dns.Msg
		want   string
	}{
		{"lists the world", always("127.0.0.2"), "[quarantined]"},
		{"parked", inTurns(both("203.0.113.5", "203.0.113.6"), both("203.0.113.6", "203.0.113.5")), "[unreachable]"},
		{"gone", inTurns(failing(dns.RcodeServerFailure), silent), "[unreachable]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := guard(t, tt.answer, func(o *ListOptions) { o.Probe, o.Judge = true, rbl.ProbeRandom })
				defer g.end()
				time.Sleep(time.Hour)
				if told := g.told(); !strings.HasPrefix(told, "states "+tt.want) {
					t.Errorf("told %s, want %s", told, tt.want)
				}
			})
		})
	}
}

// A list that begins to list the world is found out by the share of listings
// long before the next test is due.
func TestList_jump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, blocklist("bl.example."), func(o *ListOptions) { o.Probe, o.Every = true, time.Hour })
		defer g.end()
		time.Sleep(2 * time.Minute)
		for i := range 1000 {
			g.ask(fmt.Sprintf("198.18.%d.%d", i/250, i%250))
		}
		g.host.become(always("127.0.0.2"))
		start := time.Now()
		for i := range 300 {
			g.ask(fmt.Sprintf("198.18.%d.%d", i/250, i%250))
		}
		time.Sleep(time.Second)
		if s := g.State(); s.Condition != Quarantined || time.Since(start) > 3*time.Second {
			t.Errorf("state %+v after %v", s, time.Since(start))
		}
	})
}

// A burst of listings has the list tested at once, however short the last test
// is ago, but the list is not tested for each of them.
func TestList_jumpAfterTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := blocklist("bl.example.")
		g := guard(t, answer, func(o *ListOptions) { o.Probe, o.Every = true, 10*time.Minute })
		defer g.end()
		for i := range shareHistory * shareWindow {
			g.ask(fmt.Sprintf("198.18.%d.%d", i/250, i%250))
		}
		g.Check()
		time.Sleep(testPause)
		good := func(m *dns.Msg) *dns.Msg {
			if strings.HasSuffix(dns.CanonicalName(m.Question[0].Name), ".18.198.bl.example.") {
				return always("127.0.0.2")(m)
			}
			return answer(m)
		}
		burst := func(answer func(*dns.Msg) *dns.Msg, n int) (tests int) {
			g.host.become(answer)
			g.host.take()
			for i := range n {
				g.ask(fmt.Sprintf("198.18.%d.%d", i/250, i%250))
			}
			time.Sleep(100 * time.Millisecond)
			return strings.Count(strings.Join(g.host.take(), "\n"), "2.0.0.127.bl.example.")
		}
		if n := burst(good, 5*shareWindow); n == 0 || n > 5 || g.State().Condition != Healthy {
			t.Errorf("a good list was tested %d times for %d listings: %+v", n, 5*shareWindow, g.State())
		}
		if burst(always("127.0.0.2"), shareWindow); g.State().Condition != Quarantined {
			t.Errorf("a list that lists the world: %+v", g.State())
		}
	})
}

// One test question that is lost on the way, or answered late, makes no list
// unreachable whose users have all had their answers.
func TestList_lostTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, tests := blocklist("bl.example."), 0
		g := guard(t, func(m *dns.Msg) *dns.Msg {
			if strings.HasPrefix(m.Question[0].Name, "2.0.0.127.") {
				if tests++; tests%2 == 1 {
					return nil
				}
			}
			return good(m)
		}, func(o *ListOptions) { o.Probe = true })
		defer g.end()
		time.Sleep(time.Hour)
		n, told := len(g.host.tested()), g.told()
		if told != "states [], voids 0, closed []" || n < 20 {
			t.Errorf("%d tests, half of them lost: %s", n, told)
		}
		g.host.become(nil)
		time.Sleep(6*time.Minute + 2*time.Second)
		if s := g.State(); s.Condition != Unreachable {
			t.Errorf("silent: %+v", s)
		}
	})
}

// Tests that are due while our own question is out, because users' failed, are
// made up for soon.
func TestList_testedWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *guarded
		g = guard(t, func(m *dns.Msg) *dns.Msg {
			g.host.delay = time.Millisecond
			switch name := dns.CanonicalName(m.Question[0].Name); {
			case strings.HasPrefix(name, "66."):
				return failing(dns.RcodeServerFailure)(m)
			case strings.HasPrefix(name, "2.0.0.127."):
				g.host.delay = 900 * time.Millisecond
			}
			return always("127.0.0.2")(m)
		}, func(o *ListOptions) { o.Probe, o.Every = true, time.Hour })
		defer g.end()
		for range userFailures {
			g.ask("192.0.2.66")
		}
		time.Sleep(testPause + 3*time.Second)
		if s := g.State(); s.Condition != Quarantined {
			t.Errorf("a list that lists the world: %+v", s)
		}
	})
}
