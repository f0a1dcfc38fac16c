package resolver

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/upstream"
)

func TestForget_voidsAnswers(t *testing.T) {
	l := spamhaus()
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	l.set(func() { l.err = upstream.ErrTimeout })
	s.r.Forget("bl.test", true)
	if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
		t.Errorf("what a lying list said is still given: %s", brief(m))
	}
}

func TestConfigure_keepsWhatDidNotChange(t *testing.T) {
	a, b := spamhaus(), spamhaus()
	zones := []ZoneOptions{testZone("a.test", a), testZone("b.test", b)}
	s := newScene(t, zones)
	ask := func() {
		s.ask("1.2.0.192.a.test", dns.TypeA)
		s.ask("1.2.0.192.b.test", dns.TypeA)
	}
	ask()
	zones[1].Fingerprint = "another"
	s.configure(zones)
	ask()
	if a.questions() != 1 || b.questions() != 2 {
		t.Errorf("questions %d and %d, want 1 and 2: only the changed zone starts anew", a.questions(), b.questions())
	}
}

// TestConfigure_letsGo: of a zone that a reload has replaced nothing is kept,
// though its list had failed.
func TestConfigure_letsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zones := []ZoneOptions{testZone("bl.test", &fakeList{err: upstream.ErrTimeout})}
		s := newScene(t, zones)
		old := weak.Make(s.r.snap.Load().zones.order[0])
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		synctest.Wait()
		s.configure(zones)
		runtime.GC()
		if old.Value() != nil {
			t.Error("the zone of before is still in memory")
		}
	})
}

// TestResolver_letsRulesGo: a table of rules, which may hold a million prefixes, is
// not kept once another has replaced it, though nobody has asked since.
func TestResolver_letsRulesGo(t *testing.T) {
	zones := []ZoneOptions{testZone("a.test", spamhaus()), testZone("b.test", spamhaus())}
	s := newScene(t, zones, overrides.Rule{Name: "r", CIDR: []string{"192.0.2.1"}, Zones: []string{"a.test", "b.test"}})
	s.ask("1.2.0.192.a.test", dns.TypeA)
	s.ask("9.2.0.192.b.test", dns.TypeA) // its Scratch is spare now
	old := weak.Make(s.rules.Table())
	if err := s.rules.Replace(nil); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if old.Value() != nil {
		t.Error("the table of before is still in memory")
	}
}

// TestConfigure_lowerLimits: what was kept under longer lives is not kept on.
func TestConfigure_lowerLimits(t *testing.T) {
	limits := Settings{MaxTTL: time.Hour, MaxNegativeTTL: 15 * time.Minute, Stale: time.Hour}
	for name, tt := range map[string]struct {
		change func(*Settings)
		asked  int
	}{
		"nothing":             {func(*Settings) {}, 1},
		"longer":              {func(s *Settings) { s.MaxTTL, s.MaxNegativeTTL, s.Stale = 2*time.Hour, time.Hour, 2*time.Hour }, 1},
		"shorter":             {func(s *Settings) { s.MaxTTL = time.Minute }, 2},
		"shorter when none":   {func(s *Settings) { s.MaxNegativeTTL = time.Minute }, 2},
		"not as long in need": {func(s *Settings) { s.Stale = 0 }, 2},
	} {
		l := spamhaus()
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		set := func(o Settings) {
			o.Zones, o.Clients = []ZoneOptions{testZone("bl.test", l)}, []netip.Prefix{netip.PrefixFrom(testClient, 32)}
			if err := s.r.Configure(o); err != nil {
				t.Fatal(err)
			}
		}
		set(limits)
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		o := limits
		tt.change(&o)
		set(o)
		m := s.ask("1.2.0.192.bl.test", dns.TypeA)
		if ttl := m.Answer[0].Header().Ttl; l.questions() != tt.asked || ttl > uint32(o.MaxTTL/time.Second) {
			t.Errorf("%s: %d questions and a TTL of %d, want %d and no more than %s", name, l.questions(), ttl, tt.asked, o.MaxTTL)
		}
		set(o)
		if s.ask("1.2.0.192.bl.test", dns.TypeA); l.questions() != tt.asked {
			t.Errorf("%s: reloaded once more, %d questions, want %d", name, l.questions(), tt.asked)
		}
	}
}

// TestConfigure_whileForgotten has a list found to lie in the middle of a
// reload: the zone that comes with it has nothing of what the list said.
func TestConfigure_whileForgotten(t *testing.T) {
	l := spamhaus()
	zones := []ZoneOptions{testZone("bl.test", l)}
	for i := range 200 { // that take their time
		zones = append(zones, testZone(fmt.Sprintf("z%d.test", i), l))
	}
	s := newScene(t, zones)
	for range 30 {
		l.set(func() { l.all = "127.0.0.2" })
		s.r.Forget("bl.test", true)
		s.ask("9.2.0.192.bl.test", dns.TypeA)
		l.set(func() { l.all = "" })
		var both sync.WaitGroup
		both.Go(func() { s.configure(zones) })
		both.Go(func() { s.r.Forget("bl.test", true) })
		both.Wait()
		if got := brief(s.ask("9.2.0.192.bl.test", dns.TypeA)); got != "NXDOMAIN" {
			t.Fatalf("what was void came back: %s", got)
		}
	}
}

// TestConfigure_underLoad swaps zones while questions wait and come in: none
// is lost, and none gets a wrong answer.
func TestConfigure_underLoad(t *testing.T) {
	l := spamhaus()
	zones := []ZoneOptions{testZone("bl.test", l)}
	s := newScene(t, zones)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if m := s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NOERROR 127.0.0.10" {
					t.Errorf("listed: got %s", brief(m))
				}
				if m := s.ask(fmt.Sprintf("%d.%d.0.10.bl.test", i%256, n), dns.TypeA); brief(m) != "NXDOMAIN" {
					t.Errorf("unlisted: got %s", brief(m))
				}
			}
		})
	}
	for i := range 50 {
		zones[0].Fingerprint = fmt.Sprint(i)
		s.configure(zones)
	}
	close(stop)
	wg.Wait()
}
