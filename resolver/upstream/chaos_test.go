package upstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// An hour of two servers that fail at random, each in its own way, under a
// list that is asked five times a second. Whatever happens, every question
// ends once, within the deadline, and with what the list says or an error;
// and when the servers are well again so is the list.
func TestList_chaos(t *testing.T) {
	good := blocklist("bl.example.", "9.2.0.192")
	ways := []func(*dns.Msg) *dns.Msg{
		good, good, good, nil, failing(2), failing(5), failing(1), failing(9),
		always("127.255.255.254"), always("203.0.113.5"),
		func(m *dns.Msg) *dns.Msg { // truncated, and TCP is silent
			r := new(dns.Msg).SetReply(m)
			r.Truncated = true
			return r
		},
		func(m *dns.Msg) *dns.Msg { // another question
			r := always("127.0.0.66")(m)
			r.Question[0].Name = "x." + r.Question[0].Name
			return r
		},
		func(m *dns.Msg) *dns.Msg { // no EDNS
			if m.IsEdns0() != nil {
				return failing(1)(m)
			}
			return good(m)
		},
	}
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(3, 4))
		net, p := fakePool(t)
		defer p.Close()
		hosts := []*fakeHost{net.host(first, good), net.host(second, good)}
		l := NewList(ListOptions{
			Zone: question(t, "bl.example", 1).Name, Holds: rbl.HoldsAll, Probe: true,
			Ask: p.Exchanger(addrs(first, second), ExchangeOptions{CaseRandom: true}),
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		var mu sync.Mutex
		tally := map[string]int{}
		ask := func(text string) {
			s, _ := rbl.ParseSubject(text)
			began, ended := time.Now(), false
			l.Start(Ask{Question: l.about(s), Shape: s.Shape, Subject: s.Addr}, func(o Outcome) {
				mu.Lock()
				defer mu.Unlock()
				if ended {
					t.Error("a question ended twice")
				}
				if ended = true; time.Since(began) > 4*time.Second {
					t.Errorf("a question took %v", time.Since(began))
				}
				got := say(o)
				tally[got]++
				if o.Err == nil && (got == "127.0.0.2") != (text == "192.0.2.9") {
					t.Errorf("%s is %s", text, got)
				}
			})
		}
		subjects := []string{"192.0.2.9", "192.0.2.9", "192.0.2.7", "2001:db8::1", "example.com"}
		asked := 0
		for start := time.Now(); time.Since(start) < time.Hour; asked++ {
			if rnd.IntN(40) == 0 {
				h := hosts[rnd.IntN(2)]
				h.become(ways[rnd.IntN(len(ways))])
				h.mu.Lock()
				h.delay = []time.Duration{time.Millisecond, 30 * time.Millisecond, 1200 * time.Millisecond}[rnd.IntN(3)]
				h.mu.Unlock()
			}
			ask(subjects[rnd.IntN(len(subjects))])
			time.Sleep(200 * time.Millisecond)
		}
		for _, h := range hosts {
			h.become(good)
			h.mu.Lock()
			h.delay = time.Millisecond
			h.mu.Unlock()
		}
		time.Sleep(7 * time.Minute)
		if s := l.State(); s.Condition != Healthy {
			t.Errorf("after all: %+v", s)
		}
		mu.Lock()
		total := 0
		for _, n := range tally {
			total += n
		}
		if total != asked || tally["127.0.0.2"] < asked/50 {
			t.Errorf("%d questions ended of %d: %v", total, asked, tally)
		}
		mu.Unlock()
		stop()
		running.Wait()
	})
}
