package upstream

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Close leaves no goroutine of this package behind, whatever is going on: UDP
// and TCP questions out, half of an answer read, a connection being opened, a
// burst of Starts.
func TestPool_Close_leavesNothing(t *testing.T) {
	s := newFakeServer(t)
	s.script(func(q query) {
		if strings.HasPrefix(q.Question[0].Name, "tcp") {
			p := q.reply(0)
			p[2] |= 2
			q.send(p)
		}
	}, func(_ query, c *net.TCPConn) { c.Write([]byte{1, 0, 7}) })
	for round := range 20 {
		p := NewPool(nil)
		p.sockets = 3
		e := p.Exchanger([]netip.AddrPort{s.addr, netip.MustParseAddrPort("127.0.0.1:9")}, ExchangeOptions{})
		var starters, landed sync.WaitGroup
		for g := range 4 {
			starters.Go(func() {
				for i := range 50 {
					name := fmt.Sprintf("udp%d.bl.example", i)
					if i%5 == 0 {
						name = "tcp" + name
					}
					landed.Add(1)
					out := e.begin(question(t, name, dns.TypeA), nil, func(Outcome) { landed.Done() })
					if (i+g)%7 == 0 {
						out.cancel(ErrCanceled)
					}
				}
			})
		}
		if round%2 == 0 {
			starters.Wait()
		}
		p.Close()
		left := ours()
		for i := 0; left != "" && i < 100; i++ {
			runtime.Gosched() // between its last statement and its end
			left = ours()
		}
		if left != "" && round%2 == 0 {
			t.Fatalf("after Close there is\n%s", left)
		}
		starters.Wait()
		landed.Wait() // each exactly once: a second Done would panic
	}
}

// A socket whose last question lands is closed while its reader handles the
// answer; its age closes one on which no question is out.
func TestSocket_closed(t *testing.T) {
	at := echo(t)
	for _, c := range []struct {
		set  func(*Pool)
		left int
	}{
		{func(p *Pool) { p.socketUses = 1 }, 8}, // used once, and not yet replaced
		{func(p *Pool) { p.socketAge = 50 * time.Millisecond }, 0},
	} {
		p := newPool(t)
		c.set(p)
		e := p.Exchanger([]netip.AddrPort{at}, ExchangeOptions{Deadline: time.Minute})
		var landed sync.WaitGroup
		for i := range 300 {
			landed.Add(1)
			out := e.begin(question(t, fmt.Sprintf("%d.bl.example", i), dns.TypeA), nil, func(o Outcome) {
				if o.Err != nil && o.Err != ErrCanceled {
					t.Error(o.Err)
				}
				landed.Done()
			})
			if i%3 == 0 {
				out.cancel(ErrCanceled) // beside the reader
			}
		}
		landed.Wait()
		s := p.server(at)
		open := func() int {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.open)
		}
		for start := time.Now(); open() > c.left && time.Since(start) < time.Minute; {
			runtime.Gosched()
		}
		if n := open(); n > c.left {
			t.Errorf("%d sockets are open, want %d", n, c.left)
		}
		p.Close()
	}
}

// ours returns the stacks of the pool's goroutines.
func ours() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var left []string
	for _, g := range strings.Split(string(buf), "\n\n") {
		for _, f := range []string{"(*socket).", "(*stream).", "(*flight).", "(*Direct).", "(*Finder)."} {
			if strings.Contains(g, f) {
				left = append(left, g)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}

// Thousands of answers with octets changed, cut and added: the question lands
// with the good answer that follows, or with what a changed answer properly
// says, and every packet is accounted for.
func TestExchanger_mutatedAnswers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := newFakeServer(t)
	var mu sync.Mutex
	s.script(func(q query) {
		mu.Lock()
		defer mu.Unlock()
		for range 5 {
			p := q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66", q.Question[0].Name+" 300 TXT x")
			for range 1 + rnd.IntN(4) {
				switch i := 2 + rnd.IntN(len(p)-2); rnd.IntN(4) {
				case 0:
					p = p[:i]
				case 1:
					p = append(p[:i], append([]byte{byte(rnd.Uint32())}, p[i:]...)...)
				default:
					p[i] = byte(rnd.Uint32())
				}
				if len(p) < 13 {
					break
				}
			}
			q.send(p)
		}
		listed(q)
	}, func(q query, _ *net.TCPConn) { listed(q) })
	p := newPool(t)
	e := p.Exchanger([]netip.AddrPort{s.addr}, ExchangeOptions{Timeout: short, Deadline: time.Minute, CaseRandom: true})
	tally := map[string]int{}
	for range 1000 {
		o := e.Exchange(t.Context(), question(t, "9.2.0.192.bl.example", dns.TypeA))
		tally[say(o)]++
		for _, r := range o.Response.Records {
			if len(r) != 4 {
				t.Fatalf("an A record of %d octets", len(r))
			}
		}
	}
	if tally["127.0.0.2"] < 100 || tally["timeout"] > 0 {
		t.Errorf("outcomes %v", tally)
	}
	if n := p.Stats.Mismatched.Load(); n < 1000 {
		t.Errorf("%d packets dropped, want most of 5000", n)
	}
}
