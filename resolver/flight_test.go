package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// start begins to ask for name and returns where the answer will come.
func (s *scene) start(name string, typ uint16) <-chan *dns.Msg {
	got := make(chan *dns.Msg, 1)
	go func() { got <- s.ask(name, typ) }()
	return got
}

func TestFlight_coalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		l.hold = make(chan struct{})
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		var all []<-chan *dns.Msg
		for range 200 {
			all = append(all, s.start("1.2.0.192.bl.test", dns.TypeA))
		}
		synctest.Wait()
		close(l.hold)
		for _, got := range all {
			if m := <-got; brief(m) != "NOERROR 127.0.0.10" {
				t.Fatalf("got %s", brief(m))
			}
		}
		if n := l.questions(); n != 1 {
			t.Errorf("200 clients with one question made %d questions, want 1", n)
		}
		s.r.Close()
		if f := s.r.flights.free.Get(); cap(f.waiters) > keptWaiters {
			t.Errorf("room is kept for %d who wait", cap(f.waiters))
		}
	})
}

// TestFlight_largeQuestions: what waited is used again, but for the memory of
// a large packet.
func TestFlight_largeQuestions(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	for i, padding := range []int{0, 2 * keptPacket} {
		m := new(dns.Msg).SetQuestion(fmt.Sprintf("%d.2.0.192.bl.test.", i), dns.TypeA).SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, padding)}}
		s.exchange(m, true)
		s.r.flights.wg.Wait()
		if w := s.r.waiters.Get(); w == nil || cap(w.pkt) > keptPacket {
			t.Errorf("after a packet with %d octets of padding: %d are kept", padding, cap(w.pkt))
		}
	}
}

// TestFlight_questionsForAandTXT asks 100 names, 28 of them listed, for both
// types: an NXDOMAIN holds for every type of its name. RFC 8020.
func TestFlight_questionsForAandTXT(t *testing.T) {
	l := &fakeList{ttl: 300, records: map[string][]string{}}
	for i := range 28 {
		l.records[fmt.Sprintf("%d.2.0.192.list.example A", i)] = []string{"127.0.0.2"}
		l.records[fmt.Sprintf("%d.2.0.192.list.example TXT", i)] = []string{"text"}
	}
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	for i := range 100 {
		for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
			s.ask(fmt.Sprintf("%d.2.0.192.bl.test", i), typ)
		}
	}
	if n := l.questions(); n != 128 {
		t.Errorf("%d questions, want 128", n)
	}
}

// TestFlight_staleAfterAWhile asks for an answer past its TTL while the list
// dawdles: the old one stands in after 400 ms, and the new one is there when
// it comes.
func TestFlight_staleAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(301)
		hold := make(chan struct{})
		l.set(func() { l.hold = hold; l.records["1.2.0.192.list.example A"] = []string{"127.0.0.11"} })

		began := time.Now()
		m := s.ask("1.2.0.192.bl.test", dns.TypeA)
		if took := time.Since(began); took != 400*time.Millisecond {
			t.Errorf("the stale answer came after %v, want 400 ms", took)
		}
		if code, _ := ede(m); brief(m) != "NOERROR 127.0.0.10" || code != edeStale || m.Answer[0].Header().Ttl != staleTTL {
			t.Errorf("got %s, extended error %d, TTL %d", brief(m), code, m.Answer[0].Header().Ttl)
		}
		// Who comes later does not wait anew.
		began = time.Now()
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		if took := time.Since(began); took != 0 {
			t.Errorf("a second question waited %v, want not at all", took)
		}
		close(hold)
		synctest.Wait()
		if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NOERROR 127.0.0.11" {
			t.Errorf("after the renewal: %s", brief(m))
		}
		if n := l.questions(); n != 2 {
			t.Errorf("%d questions, want 2", n)
		}
		s.r.Close()
	})
}

// TestFlight_quarantine finds out that a list lies while a question is under
// way: its answer counts for nothing, neither then nor later.
func TestFlight_quarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		l.hold = make(chan struct{})
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		got := s.start("1.2.0.192.bl.test", dns.TypeA)
		synctest.Wait()
		l.set(func() { l.lies = "lists the world" })
		s.r.Forget("bl.test", true)
		close(l.hold)
		m := <-got
		if code, _ := ede(m); brief(m) != "NXDOMAIN" || code != edeUnreachable {
			t.Errorf("got %s, extended error %d", brief(m), code)
		}
		l.set(func() { l.lies, l.records = "", nil })
		if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
			t.Errorf("after the quarantine: %s", brief(m))
		}
		s.r.Close()
	})
}

// TestFlight_quarantineMeanwhile has a question wait for two lists, one of
// which is found to lie when it has answered and the other has not.
func TestFlight_quarantineMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		liar, slow := spamhaus(), &fakeList{ttl: 300, hold: make(chan struct{})}
		s := newScene(t, []ZoneOptions{
			testZone("liar.test", liar), testZone("slow.test", slow),
			weighed(t, "sum.test", 2, map[string]int{"liar.test": 2, "slow.test": -1}),
		})
		got := s.start("1.2.0.192.sum.test", dns.TypeA)
		synctest.Wait()
		liar.set(func() { liar.lies = "lists the world" })
		s.r.Forget("liar.test", true)
		close(slow.hold)
		if m := <-got; brief(m) != "NXDOMAIN" {
			t.Errorf("the sum is %s", brief(m))
		}
		s.r.Close()
	})
}

// TestFlight_waiterLeaves has one of two who wait give up; the other still
// gets the answer.
func TestFlight_waiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		l.hold = make(chan struct{})
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		sub, _ := rbl.ParseSubject("192.0.2.1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stays := s.start("1.2.0.192.bl.test", dns.TypeA)
		if got := s.r.Explain(ctx, sub); got[0].Verdict != Failed {
			t.Errorf("who gave up got %s", got[0].Verdict)
		}
		close(l.hold)
		if m := <-stays; brief(m) != "NOERROR 127.0.0.10" {
			t.Errorf("who stayed got %s", brief(m))
		}
		s.r.Close()
		if n := s.r.bounds.stillWaiting(); n != 0 {
			t.Errorf("%d questions still count as waiting", n)
		}
	})
}

// TestFlight_deadlineForAll asks a slow list for a text, which takes two
// questions: the deadline is for both together.
func TestFlight_deadlineForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		l.delay = 3 * time.Second
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		began := time.Now()
		m := s.ask("1.2.0.192.bl.test", dns.TypeTXT)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("answered after %v, want the deadline of 4s", took)
		}
		if code, _ := ede(m); brief(m) != "NOERROR" || code != edeUnreachable {
			t.Errorf("got %s, extended error %d; want that it is listed, without the text", brief(m), code)
		}
		time.Sleep(3 * time.Second)
		if m = s.ask("1.2.0.192.bl.test", dns.TypeTXT); brief(m) != "NOERROR see list.example for 192.0.2.1" {
			t.Errorf("once the text has come: %s", brief(m))
		}
		s.r.Close()
	})
}

// TestFlight_deadlineBehindStale asks for a text when the list is slow and has
// an answer past its TTL: the wait for that counts, too.
func TestFlight_deadlineBehindStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(301)
		l.delay = 3900 * time.Millisecond
		began := time.Now()
		m := s.ask("1.2.0.192.bl.test", dns.TypeTXT)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("answered after %v, want the deadline of 4s", took)
		}
		if code, _ := ede(m); brief(m) != "NOERROR" || code != edeUnreachable {
			t.Errorf("got %s, extended error %d; want that it is listed, without the text", brief(m), code)
		}
		s.r.Close()
	})
}

// TestFlight_landedMeanwhile has an answer arrive between a question's decision
// that it is lacking and its wait: the list is not asked again.
func TestFlight_landedMeanwhile(t *testing.T) {
	l := spamhaus()
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	pkt, err := new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	sc := NewScratch(0)
	if _, done := s.r.Respond(sc, pkt, testClient, false); done {
		t.Fatal("answered at once")
	}
	s.raw(pkt, false)
	got := make(chan int, 1)
	s.r.Await(sc, pkt, testClient, false, func(out []byte) { got <- int(out[7]) })
	if answers, asked := <-got, l.questions(); answers != 1 || asked != 1 {
		t.Errorf("%d answers after %d questions, want one of each", answers, asked)
	}
}

// TestFlight_zeroTTL gives an answer that may not be kept to all who waited
// for it, and to nobody else.
func TestFlight_zeroTTL(t *testing.T) {
	l := spamhaus()
	l.ttl = 0
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	for want := range 3 {
		if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NOERROR 127.0.0.10" || m.Answer[0].Header().Ttl != 0 {
			t.Fatalf("got %s", brief(m))
		}
		if n := l.questions(); n != want+1 {
			t.Fatalf("%d questions after %d", n, want+1)
		}
	}
}

// TestFlight_zeroTTLDelists takes an address off the list, which says so with an
// answer that may not be kept: the listing of before does not come back when
// the list is slow, or fails.
func TestFlight_zeroTTLDelists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(301)
		l.set(func() { l.ttl, l.records = 0, nil })
		for _, fault := range []func(){
			func() {},
			func() { l.delay = 2 * slowAfter },
			func() { l.err = upstream.ErrTimeout },
		} {
			l.set(fault)
			if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
				t.Errorf("after %d questions: %s", l.questions(), brief(m))
			}
		}
		s.r.cache.Settle()
		if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
			t.Errorf("later: %s", brief(m))
		}
		s.r.Close()
	})
}

func TestFlight_overload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		l.hold = make(chan struct{})
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}})
		s.r.bounds.perClient = 3
		var waiting []<-chan *dns.Msg
		for i := range 3 {
			waiting = append(waiting, s.start(fmt.Sprintf("%d.2.0.10.bl.test", i), dns.TypeA))
		}
		synctest.Wait()
		if m := s.ask("9.2.0.10.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
			t.Errorf("a question too many: %s, want unlisted at once", brief(m))
		}
		if m := s.ask("2.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
			t.Errorf("an exempt one: %s", brief(m))
		}
		close(l.hold)
		for _, got := range waiting {
			<-got
		}
		s.r.Close()
	})
}

// TestFlight_failureRemembered asks a failing list: once a second at first,
// then more rarely (RFC 9520), and again at once when it is known to be back.
func TestFlight_failureRemembered(t *testing.T) {
	l := &fakeList{err: upstream.ErrTimeout}
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	asked := ""
	for range 20 {
		before := l.questions()
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		asked += fmt.Sprint(l.questions() - before)
		s.r.clock.mono.Add(1)
	}
	if asked != "11010001000010000100" {
		t.Errorf("questions by second: %s", asked)
	}
	s.r.Forget("bl.test", false)
	before := l.questions()
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	if l.questions() == before {
		t.Error("a list that is back was not asked")
	}
}

func TestTrap_breaksALoop(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	name := []byte("\x06random\x04list\x07example\x00")
	arrived := s.r.Trap([][]byte{[]byte("\x05other\x00"), name})
	if m := s.ask("RANDOM.list.example", dns.TypeA); m.Rcode != dns.RcodeRefused {
		t.Errorf("a question of our own: %s", brief(m))
	}
	if got := arrived(); len(got) != 1 || got[0] != 1 {
		t.Errorf("arrived = %v, want the second", got)
	}
}

func TestRespond_refusesStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
		pkt, err := new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for range 3 * refusalsPerSecond {
			out, done := s.r.Respond(NewScratch(0), pkt, netip.MustParseAddr("192.0.2.1"), false)
			if !done {
				t.Fatal("a stranger's question waits")
			}
			if len(out) > 0 {
				refused++
			}
		}
		if refused != refusalsPerSecond {
			t.Errorf("%d answers to %d questions of a stranger, want %d", refused, 3*refusalsPerSecond, refusalsPerSecond)
		}
		s.r.Close()
	})
}
