package upstream

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// A new list that lists the world is not believed for long.
func TestList_beginsLying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, always("127.0.0.2"), func(o *ListOptions) { o.Probe = true })
		defer g.end()
		began := time.Now()
		<-g.Examined()
		if s, took := g.State(), time.Since(began); s.Condition != Quarantined || took > 20*time.Millisecond {
			t.Errorf("%v after the start, when its tests have ended: %+v", took, s)
		}
		// Each minute it may show that it is well, and then it has peace.
		good := blocklist("bl.example.")
		var asked atomic.Int64
		g.host.become(func(m *dns.Msg) *dns.Msg { asked.Add(1); return good(m) })
		time.Sleep(testPause*6/5 + time.Second)
		if s := g.State(); s.Condition != Healthy {
			t.Errorf("a good minute later: %+v", s)
		}
		asked.Store(0)
		time.Sleep(2 * time.Minute)
		if n := asked.Load(); n > 0 {
			t.Errorf("a list that is well was asked %d times in the two minutes after its test", n)
		}
	})
}

// A dead list that comes back listing the world, as parked domains do, is not
// believed for a moment.
func TestList_comesBackParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, func(o *ListOptions) { o.Probe = true })
		defer g.end()
		time.Sleep(5 * time.Minute)
		if !isOpen(g.List, rbl.IP4) {
			t.Fatal("the breaker of a dead list is closed")
		}
		g.host.become(always("127.0.0.2"))
		for isOpen(g.List, rbl.IP4) {
			time.Sleep(10 * time.Millisecond)
		}
		if s := g.State(); s.Condition != Quarantined {
			t.Errorf("state when the breaker closes: %+v", s)
		}
		g.host.become(blocklist("bl.example."))
		time.Sleep(3 * time.Minute)
		if s := g.State(); s.Condition != Healthy {
			t.Errorf("after it was mended: %+v", s)
		}
	})
}

// One odd entry, which the first random subject happens to hit, is not the world.
func TestList_comesBackOdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, func(o *ListOptions) { o.Probe, o.Holds = true, rbl.HoldsIP4 })
		defer g.end()
		time.Sleep(5 * time.Minute)
		good, first := blocklist("bl.example."), true
		g.host.become(func(m *dns.Msg) *dns.Msg {
			r := good(m)
			if first && r.Rcode == dns.RcodeNameError {
				first = false
				return always("127.0.0.2")(m)
			}
			return r
		})
		for isOpen(g.List, rbl.IP4) {
			time.Sleep(10 * time.Millisecond)
		}
		if s := g.State(); first || s.Condition != Healthy {
			t.Errorf("when it is back: %+v; asked about a random subject: %t", s, !first)
		}
	})
}

// A list that lists the world in one shape is not believed again because its
// tests in another pass: those of the first must, while they are answered.
func TestList_liesInOneShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, world := blocklist("bl.example."), always("127.0.0.2")
		answer := func(others func(*dns.Msg) *dns.Msg) func(*dns.Msg) *dns.Msg {
			return func(m *dns.Msg) *dns.Msg {
				name := m.Question[0].Name
				if dns.CountLabel(name) > 32 || strings.HasPrefix(name, "2.0.0.127.") {
					return good(m)
				}
				return others(m)
			}
		}
		halfDead := func(m *dns.Msg) *dns.Msg {
			if dns.CountLabel(m.Question[0].Name) > 32 {
				return good(m)
			}
			return nil
		}
		var g *guarded
		want := func(when string, want Condition) {
			t.Helper()
			time.Sleep(10 * time.Minute)
			if s := g.State(); s.Condition != want {
				t.Errorf("%s: %+v, want %v", when, s, want)
			}
		}
		g = guard(t, answer(world), func(o *ListOptions) { o.Probe, o.Holds = true, rbl.HoldsIP4|rbl.HoldsIP6 })
		want("it lists the world", Quarantined)
		g.host.become(halfDead)
		want("what it lied about is not answered", Quarantined)
		g.host.become(answer(failing(dns.RcodeServerFailure)))
		want("only the test entry is answered", Quarantined)
		g.host.become(func(m *dns.Msg) *dns.Msg {
			if name := m.Question[0].Name; dns.CountLabel(name) > 32 || strings.HasPrefix(name, "2.0.0.127.") {
				return world(m)
			}
			return failing(dns.RcodeServerFailure)(m)
		})
		want("it lists the world in the other shape, too", Quarantined)
		g.host.become(answer(failing(dns.RcodeServerFailure)))
		want("the other shape was mended", Quarantined)
		last := g.State()
		g.end()
		for when, answer := range map[string]func(*dns.Msg) *dns.Msg{
			"another one has taken its place":                   answer(failing(dns.RcodeServerFailure)),
			"another one has taken its place and hears nothing": nil,
			"another one has taken its place, half dead":        halfDead,
		} {
			g = guard(t, answer, func(o *ListOptions) {
				o.Probe, o.Holds, o.Quarantined, o.Liar = true, rbl.HoldsIP4|rbl.HoldsIP6, last.Reason, last.Liar
			})
			want(when, Quarantined)
			g.host.become(good)
			want(when+", and was mended", Healthy)
			g.end()
		}
	})
}

// A resolver still has from better times that some subjects were unlisted: one
// such answer ends no quarantine.
func TestList_quarantineOutlastsCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, world, cached := blocklist("bl.example."), always("127.0.0.2"), false
		g := guard(t, world, func(o *ListOptions) { o.Probe = true })
		defer g.end()
		time.Sleep(time.Minute)
		g.host.become(func(m *dns.Msg) *dns.Msg {
			cached = !cached
			if cached || strings.HasPrefix(m.Question[0].Name, "1.0.0.127.") {
				return good(m)
			}
			return world(m)
		})
		time.Sleep(time.Hour)
		if told := g.told(); g.State().Condition != Quarantined || strings.Contains(told, "healthy") {
			t.Errorf("told %s", told)
		}
	})
}

// A list that is found to list the world for one shape is in quarantine before
// the tests of another have run into silence.
func TestList_liesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := always("127.0.0.2")
		g := guard(t, func(m *dns.Msg) *dns.Msg {
			if dns.CountLabel(m.Question[0].Name) > 32 {
				return nil
			}
			return world(m)
		}, func(o *ListOptions) { o.Probe, o.Holds = true, rbl.HoldsAll })
		defer g.end()
		time.Sleep(20 * time.Millisecond) // for so long users get its listings
		if s := g.State(); s.Condition != Quarantined {
			t.Errorf("%+v", s)
		}
	})
}

// A list that begins in quarantine leaves it when its tests pass.
func TestList_beginsInQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := fakePool(t)
		defer p.Close()
		n.host("192.0.2.1:53", blocklist("bl.example."))
		l := NewList(ListOptions{
			Zone: question(t, "bl.example", 1).Name, Ask: p.Exchanger(addrs("192.0.2.1:53"), ExchangeOptions{}),
			Holds: rbl.HoldsIP4, Probe: true, Quarantined: "it listed the world",
		})
		if s := l.State(); s.Condition != Quarantined || s.Reason == "" {
			t.Errorf("it begins as %+v", s)
		}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { l.Run(ctx); close(ran) }()
		time.Sleep(20 * time.Millisecond) // of the bubble
		if s := l.State(); s.Condition != Healthy {
			t.Errorf("after its tests: %+v", s)
		}
		stop()
		<-ran
	})
}
