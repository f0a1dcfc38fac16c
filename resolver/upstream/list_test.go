package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// guarded is a list on a fake network with what its hooks were told.
type guarded struct {
	*List
	t    *testing.T
	pool *Pool
	host *fakeHost
	stop context.CancelFunc
	ran  chan struct{}

	mu     sync.Mutex
	states []string
	voids  int
	closes []string
	notes  []Budget
}

// guard makes the list bl.example at one server and runs it.
func guard(t *testing.T, answer func(*dns.Msg) *dns.Msg, change func(o *ListOptions)) *guarded {
	net, p := fakePool(t)
	g := &guarded{t: t, pool: p, host: net.host(first, answer), ran: make(chan struct{})}
	opts := ListOptions{
		Zone:  question(t, "bl.example", 1).Name,
		Ask:   p.Exchanger(addrs(first), ExchangeOptions{CaseRandom: true}),
		Holds: rbl.HoldsIP4,
		OnState: func(from, to State) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.states = append(g.states, to.Condition.String())
		},
		OnVoid:   func() { g.mu.Lock(); defer g.mu.Unlock(); g.voids++ },
		OnClose:  func(s rbl.Shape) { g.mu.Lock(); defer g.mu.Unlock(); g.closes = append(g.closes, s.String()) },
		OnBudget: func(b Budget) { g.mu.Lock(); defer g.mu.Unlock(); g.notes = append(g.notes, b) },
	}
	if change != nil {
		change(&opts)
	}
	g.List = NewList(opts)
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	go func() { g.Run(ctx); close(g.ran) }()
	return g
}

func (g *guarded) end() {
	g.stop()
	<-g.ran
	g.pool.Close()
}

// ask asks about an address or a domain and waits.
func (g *guarded) ask(subject string) Outcome {
	s, err := rbl.ParseSubject(subject)
	if err != nil {
		g.t.Fatal(err)
	}
	a := Ask{Question: g.about(s), Shape: s.Shape, Subject: s.Addr}
	ch := make(chan Outcome, 1)
	start := time.Now()
	g.Start(a, func(o Outcome) { ch <- o })
	o := <-ch
	o.Took = time.Since(start)
	return o
}

func (g *guarded) told() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprintf("states %v, voids %d, closed %v", g.states, g.voids, g.closes)
}

func isOpen(l *List, shape rbl.Shape) bool {
	_, _, open := l.Open(shape)
	return open
}

func TestList_silence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, nil)
		defer g.end()
		for i := range 10 {
			o := g.ask("192.0.2.9")
			want := time.Duration(0)
			if i == 0 {
				want = 3 * time.Second // two attempts, then our own question
			}
			if o.Err != ErrBreaker || o.Took != want {
				t.Errorf("question %d: %v after %v, want it after %v", i+1, o.Err, o.Took, want)
			}
		}
		synctest.Wait() // the breaker opens a moment before the state says so
		if s := g.State(); s.Condition != Unreachable || !isOpen(g.List, rbl.IP4) || !strings.Contains(s.Reason, "ip4") {
			t.Errorf("state %+v, open %t", s, isOpen(g.List, rbl.IP4))
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(3*time.Second + 500*time.Millisecond)))
		g.host.take()
		g.host.become(blocklist("bl.example.", "9.2.0.192"))
		back := time.Now()
		for isOpen(g.List, rbl.IP4) {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(back); d > 2*time.Second+10*time.Millisecond {
			t.Errorf("noticed its return after %v", d)
		}
		if o := g.ask("192.0.2.9"); say(o) != "127.0.0.2" {
			t.Error(say(o))
		}
		if got, want := g.told(), "states [unreachable healthy], voids 0, closed [ip4]"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

// TestList_silence_told: a list of several shapes that is gone is said to be so
// once, at its start as later.
func TestList_silence_told(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, func(o *ListOptions) {
			o.Holds, o.Probe = rbl.HoldsIP4|rbl.HoldsIP6|rbl.HoldsDomain, true
		})
		defer g.end()
		gone := func(when string) {
			time.Sleep(10 * time.Second)
			if got, want := g.told(), "states [unreachable], voids 0, closed []"; got != want {
				t.Errorf("%s: told %s, want %s", when, got, want)
			}
		}
		gone("at the start")
		g.host.become(blocklist("bl.example.", "9.2.0.192"))
		time.Sleep(10 * time.Minute)
		if c := g.State().Condition; c != Healthy {
			t.Errorf("the list is back, and %s", c)
		}
		g.mu.Lock()
		g.states, g.closes = nil, nil
		g.mu.Unlock()
		g.host.become(nil)
		g.ask("192.0.2.9")
		gone("later")
	})
}

// The pauses between test questions, in seconds.
func TestList_pauses(t *testing.T) {
	tests := []struct {
		name   string
		answer func(*dns.Msg) *dns.Msg
		at     time.Duration // after the breaker opened
		want   string
	}{
		{"silence", nil, 0, "2 2 2 2 2 2"},
		{"silence for ten minutes", nil, 10 * time.Minute, "3 5 7 10 15 23 34 51 60 60"},
		{"SERVFAIL", failing(2), 0, "2 2 2 2 2 2"},
		{"REFUSED", failing(5), 0, "30 45 60 60 60"},
		{"error code", always("127.255.255.254"), 0, "30 45 60 60 60"},
		{"parked", always("203.0.113.80"), 0, "30 45 60 60 60"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := guard(t, tt.answer, nil)
				defer g.end()
				g.ask("192.0.2.9")
				g.ask("192.0.2.8")
				for !isOpen(g.List, rbl.IP4) {
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(tt.at)
				before := len(g.host.tested())
				for range strings.Fields(tt.want) {
					time.Sleep(61 * time.Second)
				}
				times := g.host.tested()[before-1:]
				var got []string
				for i := 1; i < len(times) && i <= len(strings.Fields(tt.want)); i++ {
					got = append(got, fmt.Sprint(int((times[i]-times[i-1]).Seconds()+.5)))
				}
				if strings.Join(got, " ") != tt.want {
					t.Errorf("pauses %v, want %s", got, tt.want)
				}
			})
		})
	}
}

// Odd names that fail do not switch the list off, however many they are.
func TestList_oddNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := blocklist("bl.example.")
		g := guard(t, func(m *dns.Msg) *dns.Msg {
			if strings.HasPrefix(m.Question[0].Name, "66.") {
				return new(dns.Msg).SetRcode(m, 2)
			}
			return good(m)
		}, nil)
		defer g.end()
		for range 50 {
			if o := g.ask("192.0.2.66"); o.Err != ErrServfail {
				t.Fatal(o.Err)
			}
		}
		tests := 0
		for _, name := range g.host.take() {
			if strings.HasPrefix(name, "2.0.0.127.") {
				tests++
			}
		}
		if tests != 1 || isOpen(g.List, rbl.IP4) {
			t.Errorf("%d test questions, open %t; want 1, false", tests, isOpen(g.List, rbl.IP4))
		}
	})
}

// A resolver that has the test entry in its cache does not make a list answer
// that is gone: nobody waits for it a second time, and once it is back it is
// asked again.
func TestList_testEntryCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := blocklist("bl.example.", "9.2.0.192")
		g := guard(t, func(m *dns.Msg) *dns.Msg {
			if strings.HasPrefix(m.Question[0].Name, "2.0.0.127.") {
				return good(m)
			}
			return nil
		}, func(o *ListOptions) { o.Probe = true })
		defer g.end()
		g.ask("192.0.2.9")
		for range 100 {
			time.Sleep(time.Second)
			if o := g.ask("192.0.2.9"); o.Err != ErrBreaker || o.Took > 0 {
				t.Fatalf("%v after %v, want the breaker at once", o.Err, o.Took)
			}
		}
		if s := g.State(); s.Condition != Unreachable {
			t.Errorf("state %+v", s)
		}
		g.host.become(good)
		time.Sleep(openPause)
		if o := g.ask("192.0.2.9"); say(o) != "127.0.0.2" {
			t.Errorf("after it came back: %s", say(o))
		}
	})
}

// A list that fails for one address family goes on being asked for the other.
func TestList_shapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := blocklist("bl.example.", "9.2.0.192")
		g := guard(t, func(m *dns.Msg) *dns.Msg {
			if len(m.Question[0].Name) > 60 {
				return nil
			}
			return good(m)
		}, func(o *ListOptions) { o.Holds = rbl.HoldsAll })
		defer g.end()
		if o := g.ask("2001:db8::1"); o.Err != ErrBreaker {
			t.Errorf("IPv6: %v", o.Err)
		}
		if !isOpen(g.List, rbl.IP6) || isOpen(g.List, rbl.IP4) || isOpen(g.List, rbl.Domain) {
			t.Error("other breakers than that of IPv6 are open")
		}
		if o := g.ask("192.0.2.9"); say(o) != "127.0.0.2" {
			t.Errorf("IPv4: %s", say(o))
		}
		if o := g.ask("example.com"); say(o) != "unlisted" {
			t.Errorf("domain: %s", say(o))
		}
		if s := g.State(); s.Condition != Suspect || !strings.Contains(s.Reason, "ip6") {
			t.Errorf("state %+v", s)
		}
	})
}

// When one shape's test question fails the others are tested at once, so that
// nobody has to wait for the dead list once more.
func TestList_testsAllShapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, func(o *ListOptions) { o.Holds = rbl.HoldsAll })
		defer g.end()
		g.ask("192.0.2.9")
		time.Sleep(1100 * time.Millisecond)
		if s := g.State(); s.Condition != Unreachable || !isOpen(g.List, rbl.IP6) || !isOpen(g.List, rbl.Domain) {
			t.Errorf("state %+v", s)
		}
	})
}

// When the breaker opens, those who wait are released, not only those who come.
func TestList_releasesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, nil)
		defer g.end()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if o := g.ask("192.0.2.9"); o.Err != ErrBreaker || o.Took != 2*time.Second {
					t.Errorf("%v after %v, want the breaker after 2s", o.Err, o.Took)
				}
			})
		}
		wg.Wait()
	})
}

func TestList_errorCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults []string
		g := guard(t, always("127.255.255.254"), func(o *ListOptions) {
			o.Classify = func(c rbl.Code) (string, string, bool) {
				name, _, bad := rbl.ErrorName(nil, c)
				return name, "buy " + c.String(), bad
			}
			o.OnFault = func(err error) { faults = append(faults, err.Error()) }
		})
		defer g.end()
		var code *CodeError
		if o := g.ask("192.0.2.9"); !errors.As(o.Err, &code) || code.Code.String() != "127.255.255.254" {
			t.Errorf("error code: %v", o.Err)
		}
		txt := Ask{Question: Question{Name: g.opts.Zone, Type: wire.TypeTXT}, Shape: rbl.IP4}
		ch := make(chan Outcome, 1)
		g.Start(txt, func(o Outcome) { ch <- o })
		if o := <-ch; o.Err != nil {
			t.Errorf("TXT: %v", o.Err)
		}
		for range userFailures { // have us ask ourselves
			g.ask("192.0.2.9")
		}
		time.Sleep(harshPause + time.Second)
		synctest.Wait()
		if len(faults) != 2 || faults[1] != "list answered 127.255.255.254: blocked (buy 127.255.255.254)" {
			t.Errorf("test questions failed by %q, want twice by the code", faults)
		}
		if why := g.State().Reason; why != "the test question for ip4 fails: "+faults[1] {
			t.Errorf("the list is unreachable because %q", why)
		}
		if why, vain, open := g.Open(rbl.IP4); !open || !vain || why != g.State().Reason {
			t.Errorf("open %t, in vain %t because %q; want both because %q", open, vain, why, g.State().Reason)
		}
		g.host.become(nil) // silent
		time.Sleep(openLimit + time.Second)
		synctest.Wait()
		if _, vain, open := g.Open(rbl.IP4); !open || vain {
			t.Errorf("silent: open %t, in vain %t, want the first", open, vain)
		}
	})
}

// The zone's own name may have a web site; its address says nothing about
// anybody. An error code there is one all the same.
func TestList_website(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, always("203.0.113.80"), nil)
		defer g.end()
		ask := func() error {
			got := make(chan error)
			g.Start(Ask{Question: Question{Name: g.opts.Zone, Type: wire.TypeA}, Shape: rbl.Apex}, func(o Outcome) { got <- o.Err })
			return <-got
		}
		for range userFailures {
			if err := ask(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(openPause)
		if isOpen(g.List, rbl.IP4) {
			t.Error("the breaker is open")
		}
		g.host.become(always("127.255.255.254"))
		if err := ask(); !errors.As(err, new(*CodeError)) {
			t.Errorf("error code: %v", err)
		}
	})
}

// After Run has returned nothing is asked any more.
func TestList_stops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, nil, func(o *ListOptions) { o.Probe = true })
		g.ask("192.0.2.9")
		g.stop()
		<-g.ran
		time.Sleep(5 * time.Second) // what is out may end
		g.host.take()
		time.Sleep(time.Hour)
		if names := g.host.take(); len(names) > 0 {
			t.Errorf("asked %v", names)
		}
		g.pool.Close()
	})
}

// What a list finds out after Run has returned is told to nobody: another one
// may have its place. Who still waits for it is released all the same.
func TestList_stopsTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := 0
		g := guard(t, nil, func(o *ListOptions) { o.OnFault = func(error) { faults++ } })
		defer g.end()
		got := make(chan Outcome, 1)
		go func() { got <- g.ask("192.0.2.9") }()
		time.Sleep(2500 * time.Millisecond) // our own question is out
		g.stop()
		<-g.ran
		if o := <-got; o.Err != ErrBreaker {
			t.Errorf("%v, want the breaker", o.Err)
		}
		synctest.Wait()
		if told := g.told(); told != "states [], voids 0, closed []" || faults != 0 {
			t.Errorf("told: %s, %d faults", told, faults)
		}
	})
}
