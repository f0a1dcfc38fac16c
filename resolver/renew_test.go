package resolver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/upstream"
)

// TestFlight_prefetch asks in the last tenth of an answer's life: the answer
// is given at once, and renewed once.
func TestFlight_prefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(269)
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		synctest.Wait()
		if n := l.questions(); n != 1 {
			t.Fatalf("renewed with more than a tenth of its life to go: %d questions", n)
		}
		s.r.clock.mono.Add(1)
		for range 5 {
			if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NOERROR 127.0.0.10" {
				t.Fatalf("got %s", brief(m))
			}
		}
		synctest.Wait()
		if n := l.questions(); n != 2 {
			t.Errorf("%d questions, want one renewal", n)
		}
		if m := s.ask("1.2.0.192.bl.test", dns.TypeA); m.Answer[0].Header().Ttl != 300 {
			t.Errorf("TTL %d after the renewal, want 300", m.Answer[0].Header().Ttl)
		}
		// One who looked before the renewal had landed and comes to it after that.
		z := s.r.snap.Load().zones.named("bl.test")
		s.r.fetch(&need{question: z.about(ip4("192.0.2.1").AppendWire(nil)), renew: true}, nil, time.Now())
		synctest.Wait()
		if n := l.questions(); n != 2 {
			t.Errorf("%d questions, want no renewal of what was just renewed", n)
		}
		s.r.Close()
	})
}

// TestFlight_prefetchFails renews an answer of a list that fails: once for as
// long as a failure is remembered, not once for each who asks. RFC 9520.
func TestFlight_prefetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(270)
		l.set(func() { l.err = upstream.ErrServfail })
		for want := 2; want <= 3; want++ {
			for range 5 {
				if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NOERROR 127.0.0.10" {
					t.Fatalf("got %s", brief(m))
				}
				synctest.Wait()
			}
			if n := l.questions(); n != want {
				t.Errorf("%d questions, want %d", n, want)
			}
			s.r.clock.mono.Add(holdFirst)
		}
		s.r.Close()
	})
}

// TestFlight_budgetForUsers asks when four fifths of a budget are spent: that
// an answer may not be renewed ahead of time is nothing to who needs it then.
func TestFlight_budgetForUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		l.set(func() { l.spent = true })
		s.r.clock.mono.Add(297)
		for range 2 { // the second time it is remembered for longer
			s.r.clock.mono.Add(1)
			s.ask("1.2.0.192.bl.test", dns.TypeA)
			synctest.Wait()
		}
		if n := l.questions(); n != 3 {
			t.Fatalf("%d questions, want two renewals", n)
		}
		s.r.clock.mono.Add(1)
		m := s.ask("1.2.0.192.bl.test", dns.TypeA)
		if code, text := ede(m); brief(m) != "NOERROR 127.0.0.10" || code != 0 || m.Answer[0].Header().Ttl != 300 {
			t.Errorf("got %s, extended error %d %q, TTL %d", brief(m), code, text, m.Answer[0].Header().Ttl)
		}
		s.r.Close()
	})
}

// TestFlight_budgetForWhoJoins asks for an answer that runs out while it is being
// renewed, which then turns out to be more than the budget has for renewals.
func TestFlight_budgetForWhoJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		l.hold = make(chan struct{})
		l.spent = true
		s.r.clock.mono.Add(299)
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(1)
		joins := []<-chan *dns.Msg{s.start("1.2.0.192.bl.test", dns.TypeA), s.start("1.2.0.192.bl.test", dns.TypeA)}
		synctest.Wait()
		close(l.hold)
		for _, got := range joins {
			m := <-got
			if code, text := ede(m); brief(m) != "NOERROR 127.0.0.10" || code != 0 || m.Answer[0].Header().Ttl != 300 {
				t.Errorf("got %s, extended error %d %q, TTL %d", brief(m), code, text, m.Answer[0].Header().Ttl)
			}
		}
		if n := l.questions(); n != 3 {
			t.Errorf("%d questions, want the first, the renewal and one for both who joined it", n)
		}
		s.r.Close()
	})
}

// TestSaved_notWhatStaysListed: an exemption that takes one code of two away
// lets nobody in.
func TestSaved_notWhatStaysListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := testZone("bl.test", spamhaus())
		z.NoOverride = codes(t, "127.0.0.2")
		s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/24"}})
		for range 3 {
			if got := brief(s.ask("2.2.0.192.bl.test", dns.TypeA)); got != "NOERROR 127.0.0.2" {
				t.Fatalf("got %s, want what is beyond exemptions alone", got)
			}
			s.ask("1.2.0.192.bl.test", dns.TypeA)
		}
		if got := gathered(t, s, "dnsblproxy_exempted_listings_total"); got != 3 {
			t.Errorf("exempted_listings_total = %v, want 3: those of the address that was let in", got)
		}
		s.r.Close()
	})
}

// TestSettings_askLess: with prefetch and verify off nobody is asked but when
// somebody waits, and of a list that lies nobody wants to know what it says of
// who is exempt.
func TestSettings_askLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, liar := spamhaus(), &fakeList{lies: "lists the world"}
		zones := []ZoneOptions{testZone("bl.test", l), testZone("liar.test", liar)}
		zones[1].Verify = true
		s := newScene(t, zones, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}})
		next := *s.r.snap.Load()
		next.prefetch = false
		s.r.snap.Store(&next)
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.r.clock.mono.Add(299)
		for _, name := range []string{"1.2.0.192.bl.test", "2.2.0.192.bl.test", "2.2.0.192.liar.test"} {
			s.ask(name, dns.TypeA)
			synctest.Wait()
		}
		if l.questions() != 1 || liar.questions() != 0 {
			t.Errorf("the lists were asked %q and %q", l.asked, liar.asked)
		}
		s.r.Close()
	})
}

func TestVerify_countsWhatAnExemptionSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		z := testZone("bl.test", l)
		z.Verify = true
		s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/24"}})
		for range 3 {
			s.ask("1.2.0.192.bl.test", dns.TypeA)
			s.ask("9.2.0.192.bl.test", dns.TypeA)
			synctest.Wait()
		}
		if n := l.questions(); n != 2 {
			t.Errorf("%d questions about two exempt addresses, want 2", n)
		}
		if got := gathered(t, s, "dnsblproxy_exempted_listings_total"); got != 3 {
			t.Errorf("exempted_listings_total = %v, want 3: each time the listed one was let in", got)
		}
		s.r.Close()
	})
}

// TestVerify_bounded: a list that takes its time to answer about exempt addresses
// holds no more memory than it may, and is asked again when it has answered.
func TestVerify_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeList{hold: make(chan struct{})}
		z := testZone("bl.test", l)
		z.Verify = true
		s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "partner", CIDR: []string{"10.0.0.0/8"}})
		for i := range mostAlone + 100 {
			s.ask(fmt.Sprintf("%d.%d.0.10.bl.test", i%256, i/256), dns.TypeA)
		}
		if n := l.questions(); n != mostAlone {
			t.Errorf("%d questions that nobody waits for are out, want %d", n, mostAlone)
		}
		close(l.hold)
		synctest.Wait()
		s.ask("1.1.1.10.bl.test", dns.TypeA)
		synctest.Wait()
		if n := l.questions(); n != mostAlone+1 {
			t.Errorf("%d questions, want one more when the others were answered", n)
		}
		s.r.Close()
	})
}
