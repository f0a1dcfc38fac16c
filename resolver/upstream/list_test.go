package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
		if s := g.State(); s.Condition != Unreachable || !g.Open(rbl.IP4) || !strings.Contains(s.Reason, "ip4") {
			t.Errorf("state %+v, open %t", s, g.Open(rbl.IP4))
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(3*time.Second + 500*time.Millisecond)))
		g.host.take()
		g.host.become(blocklist("bl.example.", "9.2.0.192"))
		back := time.Now()
		for g.Open(rbl.IP4) {
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
				for !g.Open(rbl.IP4) {
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
		if tests != 1 || g.Open(rbl.IP4) {
			t.Errorf("%d test questions, open %t; want 1, false", tests, g.Open(rbl.IP4))
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
		if !g.Open(rbl.IP6) || g.Open(rbl.IP4) || g.Open(rbl.Domain) {
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
		g := guard(t, always("127.255.255.254"), nil)
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
	})
}

// What the tests of RFC 5782, section 5 make of a list.
func TestList_examine(t *testing.T) {
	hasLocalhost := blocklist("bl.example.", "1.0.0.127")
	empty := func(m *dns.Msg) *dns.Msg { return failing(3)(m) }
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
		{"parked", always("203.0.113.5"), rbl.ProbeRFC, Unreachable, "outside_127"},
		{"error code", always("127.255.255.254"), rbl.ProbeRFC, Unreachable, "blocked"},
		{"code that is no listing", always("127.0.0.1"), rbl.ProbeRFC, Suspect, "test entry"},
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

// A good list that is asked about a spam run is not quarantined, and the new
// share becomes the past.
func TestShare(t *testing.T) {
	var s share
	jumps := 0
	feed := func(n, listed int) {
		for i := range n {
			if s.add(i%100 < listed) {
				jumps++
			}
		}
	}
	feed(1000, 20)
	feed(1000, 45)
	if jumps != 0 {
		t.Errorf("%d jumps at 45 listings in 100 after 20", jumps)
	}
	feed(100, 90)
	if jumps != 1 {
		t.Errorf("%d jumps at 90 listings in 100, want 1", jumps)
	}
	feed(5000, 90)
	jumps = 0
	feed(1000, 90)
	if jumps != 0 {
		t.Errorf("90 in 100 has long been usual and is still a jump")
	}
}

func TestList_budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saved := Spent{Day: dayOf(time.Now()), Used: 40}
		g := guard(t, blocklist("bl.example."), func(o *ListOptions) {
			o.Probe, o.Budget = true, 100
			o.Load = func() Spent { return saved }
			o.Save = func(s Spent) { saved = s }
		})
		time.Sleep(6 * time.Hour) // many tests, none of which counts
		if f := g.Budget(); f.Used != 40 || f.Limit != 100 || f.Forecast < 100 || f.Forecast > 170 {
			t.Errorf("figures %+v", f)
		}
		asked, refused := 0, 0
		count := func(o Outcome) {
			if o.Err == ErrBudget {
				refused++
			} else {
				asked++
			}
		}
		for i := range 30 { // one /24, of which a tenth of the budget is the share
			count(g.ask(fmt.Sprintf("198.51.100.%d", i)))
		}
		if asked != 10 || refused != 20 {
			t.Errorf("one /24: %d asked, %d refused; want 10, 20", asked, refused)
		}
		for i := range 30 {
			count(g.ask(fmt.Sprintf("198.18.%d.1", i)))
		}
		if g.Spare() {
			t.Error("four fifths are spent and there is still something to spare")
		}
		back := make(chan Outcome, 1)
		a := Ask{Question: question(t, "1.1.1.1.bl.example", 1), Shape: rbl.IP4, Subject: netip.MustParseAddr("1.1.1.1")}
		a.Background = true
		g.Start(a, func(o Outcome) { back <- o })
		if o := <-back; o.Err != ErrBudget {
			t.Errorf("a background question: %v", o.Err)
		}
		for i := range 30 {
			count(g.ask(fmt.Sprintf("198.19.%d.1", i)))
		}
		if asked != 60 {
			t.Errorf("%d questions asked, want the 60 that were left", asked)
		}
		g.end()
		if saved.Used != 100 {
			t.Errorf("saved %+v", saved)
		}
		if len(g.notes) != 2 || g.notes[0].Used != 80 || g.notes[1].Used != 100 {
			t.Errorf("told of %v, want 80 and 100", g.notes)
		}
	})
}

func TestBudget_newDay(t *testing.T) {
	b := newBudget(10, func() Spent { return Spent{Day: 1, Used: 10} })
	now := time.Now()
	if ok, _ := b.take(now, netip.Addr{}, false); !ok {
		t.Error("what another day has spent counts today")
	}
	for range 9 {
		b.take(now, netip.Addr{}, false)
	}
	if ok, _ := b.take(now, netip.Addr{}, false); ok {
		t.Error("an eleventh question of ten was allowed")
	}
	if ok, _ := b.take(now.Add(day), netip.Addr{}, false); !ok {
		t.Error("the next day's first question was refused")
	}
}

// However many subnets ask, the counts kept stay bounded, and one that asks for
// a tenth is still found out.
func TestBudget_subnets(t *testing.T) {
	b := newBudget(1_000_000, nil)
	now := time.Now()
	heavy, asked := netip.MustParseAddr("2001:db8:1:2::"), 0
	for i := range uint32(400_000) {
		b.take(now, netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), false)
		if ok, _ := b.take(now, heavy, false); ok {
			asked++
		}
	}
	if len(b.subnets) > maxSubnets {
		t.Errorf("%d subnets kept", len(b.subnets))
	}
	if asked < 100_000 || asked > 101_000 {
		t.Errorf("the heavy /64 was allowed %d of a million, want a tenth or little more", asked)
	}
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
