package upstream

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/internal/wire"
)

const (
	first  = "192.0.2.1:53"
	second = "192.0.2.2:53"
)

func TestTimeline_silentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, p := fakePool(t)
		defer p.Close()
		h := net.host(first, nil)
		o := p.Exchanger(addrs(first), ExchangeOptions{}).Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
		if o.Err != ErrTimeout || o.Took != 4*time.Second {
			t.Errorf("%v after %v, want a timeout after 4s", o.Err, o.Took)
		}
		if got, want := fmt.Sprint(h.times()), "[0s 1s 2s 3s]"; got != want {
			t.Errorf("asked at %s, want %s", got, want)
		}
	})
}

// An answer that comes after the attempt's time is no answer.
func TestTimeline_slowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, p := fakePool(t)
		defer p.Close()
		net.host(first, blocklist("bl.example.")).delay = 1500 * time.Millisecond
		o := p.Exchanger(addrs(first), ExchangeOptions{}).Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
		if o.Err != ErrTimeout {
			t.Errorf("%v, want a timeout", o.Err)
		}
	})
}

// The first question waits for a dead server once, those after it do not; the
// server is asked again in the background and used when it is back.
func TestTimeline_deadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, p := fakePool(t)
		defer p.Close()
		dead := net.host(first, nil)
		net.host(second, blocklist("bl.example.", "a"))
		p.server(addrs(second)[0]).rtt.Store(int64(time.Millisecond)) // so that the dead one is tried first
		e := p.Exchanger(addrs(first, second), ExchangeOptions{})
		var slow int
		for range 60 {
			o := e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
			if say(o) != "127.0.0.2" {
				t.Fatal(say(o))
			}
			if o.Took > 100*time.Millisecond {
				slow++
			}
			time.Sleep(time.Second)
		}
		if slow > 2 {
			t.Errorf("%d of 60 questions waited for the dead server, want at most 2", slow)
		}
		if n := len(dead.times()); n < 4 || n > 12 {
			t.Errorf("the dead server was asked %d times in a minute, want a few", n)
		}
		dead.become(blocklist("bl.example.", "a"))
		dead.take()
		for range 90 {
			e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
			time.Sleep(time.Second)
		}
		if p.server(addrs(first)[0]).dead() {
			t.Error("the server came back and is still thought dead")
		}
	})
}

// What one server cannot answer is not asked of a dead one for as long as there
// is time: names whose DNS is broken are asked about with every other mail.
func TestTimeline_failsBesideDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, p := fakePool(t)
		defer p.Close()
		net.host(first, failing(dns.RcodeServerFailure))
		dead := net.host(second, nil)
		e := p.Exchanger(addrs(first, second), ExchangeOptions{})
		q := question(t, "9.2.0.192.in-addr.arpa", dns.TypePTR)
		for range deadAfter {
			e.Exchange(t.Context(), q)
		}
		const oneTry = time.Second + 10*time.Millisecond
		if o := e.Exchange(t.Context(), q); o.Err != ErrServfail || o.Took > oneTry {
			t.Errorf("asked: %v after %v, want SERVFAIL after one try with the dead server", o.Err, o.Took)
		}
		pkt, _ := appendQuery(nil, q, true)
		start, got := time.Now(), make(chan []byte)
		e.Relay(pkt, false, func(answer []byte, _ error) { got <- answer })
		if answer := <-got; answer[3]&15 != wire.RcodeServFail || time.Since(start) > oneTry {
			t.Errorf("passed on: %x after %v", answer, time.Since(start))
		}
		dead.become(always("192.0.2.9")) // it is back
		if o := e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA)); say(o) != "192.0.2.9" {
			t.Errorf("the server that came back was not asked: %s", say(o))
		}
	})
}

// A resolver that was silent is found to be back also when all that is asked of
// it is passed on.
func TestTimeline_relayFindsServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, p := fakePool(t)
		defer p.Close()
		dead := net.host(first, nil)
		net.host(second, blocklist("example.")).delay = 200 * time.Millisecond
		e := p.Exchanger(addrs(first, second), ExchangeOptions{})
		pkt, err := new(dns.Msg).SetQuestion("mail.example.", dns.TypeMX).Pack()
		if err != nil {
			t.Fatal(err)
		}
		ask := func() {
			got := make(chan error)
			e.Relay(pkt, false, func(_ []byte, err error) { got <- err })
			if err := <-got; err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for range 60 {
			ask()
		}
		if n := len(dead.take()); n > 12 {
			t.Errorf("the dead server was asked %d times in a minute, want a few", n)
		}
		dead.become(blocklist("example."))
		for range 90 {
			ask()
		}
		if !p.server(addrs(first)[0]).known() {
			t.Error("nobody noticed that the server came back")
		}
	})
}

func TestTimeline_prefersTheFasterServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, p := fakePool(t)
		defer p.Close()
		slow := net.host(first, blocklist("bl.example."))
		slow.delay = 80 * time.Millisecond
		fast := net.host(second, blocklist("bl.example."))
		e := p.Exchanger(addrs(first, second), ExchangeOptions{})
		ask := func(n int) {
			for range n {
				e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
			}
		}
		ask(400)
		if s, f := len(slow.take()), len(fast.take()); s == 0 || s > 50 || f < 350 {
			t.Errorf("slow %d, fast %d of 400 questions", s, f)
		}
		fast.mu.Lock()
		fast.delay = 400 * time.Millisecond
		fast.mu.Unlock()
		ask(400)
		if s, f := len(slow.take()), len(fast.take()); f > 60 {
			t.Errorf("after they changed places: slow %d, fast %d of 400 questions", s, f)
		}
	})
}

func TestTimeline_socketsAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.host(first, blocklist("bl.example."))
		p := NewPool(n)
		p.sockets, p.socketUses = 2, 10
		defer p.Close()
		e := p.Exchanger(addrs(first), ExchangeOptions{})
		s := p.server(addrs(first)[0])
		seen := map[*socket]bool{}
		for range 100 {
			e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
			s.mu.Lock()
			for k := range s.open {
				seen[k] = true
			}
			if len(s.open) > 2 {
				t.Errorf("%d sockets are open, want 2 at most", len(s.open))
			}
			s.mu.Unlock()
		}
		if len(seen) < 9 {
			t.Errorf("%d sockets for 100 questions of 10 each", len(seen))
		}
	})
}

// Questions that are out together leave by few sockets at a time, others by a
// random one each.
func TestTimeline_socketRuns(t *testing.T) {
	const all = 1600
	for _, together := range []int{1, 16} {
		moves := all/together + (all-all/together)/socketRun // of which one in 8 goes nowhere
		want := moves * 7 / 8
		synctest.Test(t, func(t *testing.T) {
			n, p := fakePool(t)
			defer p.Close()
			n.host(first, blocklist("bl.example."))
			e := p.Exchanger(addrs(first), ExchangeOptions{})
			s := e.servers[0]
			used := map[int]int{}
			last, changes := 0, 0
			for i := range all {
				e.begin(question(t, "a.bl.example", dns.TypeA), nil, func(Outcome) {})
				used[s.at]++
				if s.at != last {
					last = s.at
					changes++
				}
				if (i+1)%together == 0 {
					time.Sleep(time.Second)
				}
			}
			if len(used) != 8 || changes < want/2 || changes > want*3/2 {
				t.Errorf("%d together: %d changes between %d sockets, want about %d between 8", together, changes, len(used), want)
			}
		})
	}
}

// A socket that is not used is closed when its time is over, and one that is
// waited on only after that.
func TestTimeline_idleSocketsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		h := n.host(first, blocklist("bl.example."))
		p := NewPool(n)
		p.sockets, p.socketAge = 1, 5*time.Second
		defer p.Close()
		e := p.Exchanger(addrs(first), ExchangeOptions{})
		s := p.server(addrs(first)[0])
		open := func() int {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.open)
		}
		e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA)) // so that the server is known
		time.Sleep(strangerAge + time.Millisecond)
		e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
		time.Sleep(4500 * time.Millisecond)
		h.mu.Lock()
		h.delay = 900 * time.Millisecond
		h.mu.Unlock()
		got := make(chan Outcome, 1)
		e.begin(question(t, "a.bl.example", dns.TypeA), nil, func(o Outcome) { got <- o })
		time.Sleep(600 * time.Millisecond)
		if open() != 1 {
			t.Error("a socket that is waited on was closed")
		}
		if o := <-got; say(o) != "unlisted" {
			t.Errorf("the question over the old socket: %s", say(o))
		}
		if open() != 0 {
			t.Error("an idle socket is still open after its time")
		}
	})
}

// A list may delegate each name to other servers that never answer. Their sockets
// do not wait for the next question as those of a good server do.
func TestTimeline_silentServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := fakePool(t)
		defer p.Close()
		n.host(first, blocklist("bl.example."))
		n.host(second, nil)
		q := question(t, "a.bl.example", dns.TypeA)
		open := func(e *Exchanger) int {
			s := e.servers[0]
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.open)
		}
		good, silent := p.Exchanger(addrs(first), ExchangeOptions{}), p.Exchanger(addrs(second), ExchangeOptions{})
		good.Exchange(t.Context(), q)
		for range 50 * socketRun { // so that the good one's questions leave by more than the first socket
			good.begin(q, nil, func(Outcome) {})
			silent.begin(q, nil, func(Outcome) {})
		}
		time.Sleep(10 * time.Second)
		if g, s := open(good), open(silent); g == 0 || s > 0 {
			t.Errorf("%d sockets to the good server are open and %d to the silent one, want some and none", g, s)
		}
	})
}

// A question's time is its own, whatever the flight's timer was set for by the
// questions before it.
func TestFlight_timerRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := fakePool(t)
		defer p.Close()
		host := n.host(first, nil)
		q := question(t, "9.2.0.192.bl.example", dns.TypeA)
		for range 50 {
			for _, timeout := range []time.Duration{time.Second, 3 * time.Second, 200 * time.Millisecond} {
				e := p.Exchanger(addrs(first), ExchangeOptions{Timeout: timeout, Deadline: timeout})
				host.become(always("127.0.0.2"))
				if o := e.Exchange(t.Context(), q); o.Err != nil || o.Took != host.delay {
					t.Fatalf("answered after %v, %v", o.Took, o.Err)
				}
				time.Sleep(rand.N(2 * time.Second)) // of the bubble's clock
				host.become(nil)
				if o := e.Exchange(t.Context(), q); o.Err != ErrTimeout || o.Took != timeout {
					t.Fatalf("ended after %v, %v; want %v", o.Took, o.Err, timeout)
				}
			}
		}
	})
}

// The timer of the questions before it may ring while a question is being made.
func TestFlight_timerRingsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := fakePool(t)
		defer p.Close()
		n.host(first, always("127.0.0.2"))
		e := p.Exchanger(addrs(first), ExchangeOptions{})
		f := p.getFlight()
		f.expire()
		got := make(chan Outcome)
		f.mu.Lock()
		f.done = func(o Outcome) { got <- o }
		f.query, f.qend = appendQuery(nil, question(t, "9.2.0.192.bl.example", dns.TypeA), true)
		e.launch(f, terms{deadline: time.Second})
		f.mu.Unlock()
		if o := <-got; say(o) != "127.0.0.2" {
			t.Errorf("the question ended with %s", say(o))
		}
	})
}
