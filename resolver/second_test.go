package resolver

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// fakeSecond is a second level in a map.
type fakeSecond struct {
	mu     sync.Mutex
	values map[string]string
	ends   map[string]time.Time
	off    bool
	slow   time.Duration // until it knows that there is nothing
	gets   int
	sets   int
}

func newSecond() *fakeSecond {
	return &fakeSecond{values: map[string]string{}, ends: map[string]time.Time{}}
}

func (s *fakeSecond) Get(question []byte, done func(data string, life uint32, ok bool)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return false
	}
	data, ok := s.values[string(question)]
	left := time.Until(s.ends[string(question)])
	s.gets++
	go func() {
		if !ok {
			time.Sleep(s.slow)
		}
		done(data, uint32(max(left, 0)/time.Second), ok && left >= time.Second)
	}()
	return true
}

func (s *fakeSecond) Set(question []byte, data string, life uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets++
	s.values[string(question)] = data
	s.ends[string(question)] = time.Now().Add(time.Duration(life) * time.Second)
}

// change rewrites every value.
func (s *fakeSecond) change(f func(string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, v := range s.values {
		s.values[q] = f(v)
	}
}

// pair is two proxies with one second level, and a list for each.
func pair(t *testing.T, second SecondLevel, rules ...overrides.Rule) (a, b *scene) {
	t.Helper()
	both := [2]*scene{}
	for i := range both {
		both[i] = newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())}, rules...)
		both[i].r.second = second
	}
	return both[0], both[1]
}

// TestSecond_sparesQuestions: what one proxy has asked the other need not
// ask, listed or not, A or TXT, and it says the same.
func TestSecond_sparesQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, newSecond())
		names := []string{"1.2.0.192.bl.test", "2.2.0.192.bl.test", "3.2.0.192.bl.test", "9.2.0.192.bl.test", "bad.example.bl.test", "2.0.0.127.bl.test"}
		for _, name := range names {
			for _, typ := range []uint16{dns.TypeTXT, dns.TypeA} {
				first := brief(a.ask(name, typ))
				synctest.Wait()
				if got := brief(b.ask(name, typ)); got != first {
					t.Errorf("%s %s: %s, of the other proxy %s", name, dns.TypeToString[typ], first, got)
				}
			}
		}
		if a.list.questions() == 0 || b.list.questions() != 0 {
			t.Errorf("the proxies asked %d and %d questions, want some and 0", a.list.questions(), b.list.questions())
		}
		if got := gathered(t, b, "dnsblproxy_list_codes_total"); got != gathered(t, a, "dnsblproxy_list_codes_total") {
			t.Errorf("dnsblproxy_list_codes_total is %v", got)
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_explained: who looks an address up is told whose answer it is.
func TestSecond_explained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, newSecond())
		a.ask("1.2.0.192.bl.test", dns.TypeA)
		synctest.Wait()
		sub, err := rbl.ParseSubject("192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		got := b.r.Explain(t.Context(), sub)[0]
		if want := (Step{7, "another proxy has asked the list already"}); got.Verdict != Listed || !slices.Contains(got.Steps, want) {
			t.Errorf("Explain = %s with steps %v, want %v among them", got.Verdict, got.Steps, want)
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_off: without the second level everything goes on.
func TestSecond_off(t *testing.T) {
	second := newSecond()
	second.off = true
	a, b := pair(t, second)
	for _, s := range []*scene{a, b} {
		if got := brief(s.ask("1.2.0.192.bl.test", dns.TypeA)); got != "NOERROR 127.0.0.10" {
			t.Errorf("got %s", got)
		}
	}
	if b.list.questions() != 1 {
		t.Errorf("%d questions, want 1", b.list.questions())
	}
}

// TestSecond_breaker: while a list's breaker is open, what another proxy has
// asked it is an answer, and nobody waits for more than the second level.
func TestSecond_breaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 20 * time.Millisecond
		second := newSecond()
		a, b := pair(t, second)
		b.ask("2.2.0.192.bl.test", dns.TypeA)
		time.Sleep(301 * time.Second) // of the bubble; b's answer is stale now
		for _, s := range []*scene{a, b} {
			s.r.clock.read()
		}
		for _, name := range []string{"1.2.0.192.bl.test", "2.2.0.192.bl.test"} {
			a.ask(name, dns.TypeA)
			a.ask(name, dns.TypeTXT)
		}
		synctest.Wait()
		before := b.list.questions()
		b.list.set(func() { b.list.open = "no answer since noon" })
		second.slow = budget
		second.gets = 0
		for _, tt := range []struct {
			name string
			typ  uint16
			want string
			ede  uint16
			wait time.Duration
			gets int
		}{
			{"1.2.0.192.bl.test", dns.TypeA, "NOERROR 127.0.0.10", 0, 0, 1},
			{"1.2.0.192.bl.test", dns.TypeTXT, "NOERROR see list.example for 192.0.2.1", 0, 0, 1},
			{"1.2.0.192.bl.test", dns.TypeA, "NOERROR 127.0.0.10", 0, 0, 0},           // cached here now
			{"2.2.0.192.bl.test", dns.TypeA, "NOERROR 127.0.0.2 127.0.0.10", 0, 0, 1}, // not the stale one
			{"9.2.0.192.bl.test", dns.TypeA, "NXDOMAIN", edeUnreachable, budget, 1},
			{"9.2.0.192.bl.test", dns.TypeA, "NXDOMAIN", edeUnreachable, 0, 0}, // remembered
		} {
			began := time.Now()
			m := b.ask(tt.name, tt.typ)
			if took := time.Since(began); took != tt.wait {
				t.Errorf("%s took %v, want %v", tt.name, took, tt.wait)
			}
			if code, _ := ede(m); brief(m) != tt.want || code != tt.ede {
				t.Errorf("%s: %s, extended error %d; want %s, %d", tt.name, brief(m), code, tt.want, tt.ede)
			}
			if second.gets != tt.gets {
				t.Errorf("%s: the second level was asked %d times, want %d", tt.name, second.gets, tt.gets)
			}
			second.gets = 0
		}
		if n := b.list.questions() - before; n != 0 {
			t.Errorf("%d questions to a list whose breaker is open", n)
		}
		if n := gathered(t, b, "dnsblproxy_upstream_queries_total"); n != float64(before) {
			t.Errorf("dnsblproxy_upstream_queries_total is %v, want %d", n, before)
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_exempt: an exemption here holds, whatever was answered there, and
// the listing that it removes is counted.
func TestSecond_exempt(t *testing.T) {
	second := newSecond()
	a, _ := pair(t, second)
	if got := brief(a.ask("1.2.0.192.bl.test", dns.TypeA)); got != "NOERROR 127.0.0.10" {
		t.Fatalf("got %s", got)
	}
	z := testZone("bl.test", spamhaus())
	z.Verify = true
	b := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "r", CIDR: []string{"192.0.2.0/24"}})
	b.r.second = second
	if got := brief(b.ask("1.2.0.192.bl.test", dns.TypeA)); got != "NXDOMAIN" {
		t.Errorf("an exempt address is %s", got)
	}
	b.r.flights.wg.Wait()
	if got := gathered(t, b, "dnsblproxy_exempted_listings_total"); got != 1 || b.list.questions() != 0 {
		t.Errorf("dnsblproxy_exempted_listings_total is %v after %d questions, want 1 after 0", got, b.list.questions())
	}
}

// TestSecond_lies: what a list said until it was found to lie is void, in the
// second level too; what it says later is not.
func TestSecond_lies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, newSecond())
		const name = "1.2.0.192.bl.test"
		a.ask(name, dns.TypeA)
		b.r.Forget("bl.test", true)
		b.configure([]ZoneOptions{testZone("bl.test", b.list)}) // a reload changes nothing
		b.list.set(func() { delete(b.list.records, "1.2.0.192.list.example A") })
		if got := brief(b.ask(name, dns.TypeA)); got != "NXDOMAIN" {
			t.Errorf("after the lie was found out: %s", got)
		}
		time.Sleep((clockSkew + 2) * time.Second) // of the bubble
		a.r.clock.read()
		a.ask("2.2.0.192.bl.test", dns.TypeA)
		before := b.list.questions()
		if got := brief(b.ask("2.2.0.192.bl.test", dns.TypeA)); got != "NOERROR 127.0.0.2 127.0.0.10" || b.list.questions() != before {
			t.Errorf("later: %s, after %d questions", got, b.list.questions()-before)
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_liesWrongClock: so it is when the clock was wrong as the lie was
// found out, and has been set since.
func TestSecond_liesWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a, b := pair(t, newSecond())
			set := func(clock *clock, off time.Duration) {
				clock.read()
				clock.wall.Add(int64(off / time.Second))
			}
			set(b.r.clock, off)
			a.ask("1.2.0.192.bl.test", dns.TypeA)
			b.r.Forget("bl.test", true)
			b.list.set(func() { clear(b.list.records) })
			time.Sleep((clockSkew + 2) * time.Second) // of the bubble
			set(a.r.clock, 0)
			a.ask("2.2.0.192.bl.test", dns.TypeA)
			for name, want := range map[string]string{"1.2.0.192.bl.test": "NXDOMAIN", "2.2.0.192.bl.test": "NOERROR 127.0.0.2 127.0.0.10"} {
				set(b.r.clock, 0)
				if got := brief(b.ask(name, dns.TypeA)); got != want {
					t.Errorf("off by %v: %s is %s, want %s", off, name, got, want)
				}
			}
			a.r.Close()
			b.r.Close()
		})
	}
}

// TestSecond_liesOverReload: they stay void when a reload changes the zone.
func TestSecond_liesOverReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, newSecond())
		const name = "1.2.0.192.bl.test"
		a.ask(name, dns.TypeA)
		b.r.Forget("bl.test", true)
		b.list.set(func() { delete(b.list.records, "1.2.0.192.list.example A") })
		changed := testZone("bl.test", b.list)
		changed.Fingerprint += ", other servers"
		b.configure([]ZoneOptions{changed})
		if got := brief(b.ask(name, dns.TypeA)); got != "NXDOMAIN" {
			t.Errorf("after the reload: %s", got)
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_renews: before a popular answer runs out, one of the proxies asks
// the list and the other takes what it was told.
func TestSecond_renews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newSecond()
		a, b := pair(t, second)
		const name = "1.2.0.192.bl.test"
		for _, s := range []*scene{a, b} {
			s.ask(name, dns.TypeA)
		}
		time.Sleep(200 * time.Second) // of 300; in the bubble
		for _, s := range []*scene{a, b} {
			s.r.clock.read()
			s.ask(name, dns.TypeA)
		}
		time.Sleep(80 * time.Second)
		for _, s := range []*scene{a, b, b} {
			s.r.clock.read()
			if got := brief(s.ask(name, dns.TypeA)); got != "NOERROR 127.0.0.10" {
				t.Errorf("got %s", got)
			}
			synctest.Wait()
		}
		if a.list.questions() != 2 || b.list.questions() != 0 {
			t.Errorf("the proxies asked %d and %d questions, want 2 and 0", a.list.questions(), b.list.questions())
		}
		if ttl := b.ask(name, dns.TypeA).Answer[0].Header().Ttl; ttl < 290 {
			t.Errorf("the other proxy's answer has a TTL of %d, want the renewed one's", ttl)
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_limits: an answer of another proxy lives no longer than one of the
// list's would, listed or not.
func TestSecond_limits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, newSecond())
		for _, s := range []*scene{a, b} {
			s.list.set(func() { s.list.ttl = 1000 })
		}
		snap := *b.r.snap.Load()
		snap.limits.maxTTL, snap.limits.maxNegative = 500, 60
		b.r.snap.Store(&snap)
		for name, want := range map[string]uint32{"1.2.0.192.bl.test": 500, "9.2.0.192.bl.test": 60} {
			a.ask(name, dns.TypeA)
			synctest.Wait()
			m := b.ask(name, dns.TypeA)
			if got := append(m.Answer, m.Ns...)[0].Header().Ttl; got != want {
				t.Errorf("%s: TTL %d, want %d", name, got, want)
			}
		}
		if b.list.questions() != 0 {
			t.Errorf("%d questions, want 0", b.list.questions())
		}
		a.r.Close()
		b.r.Close()
	})
}

// TestSecond_believable: a value is judged as if the list had sent it. Those
// here are authentic, as another version or configuration might write them.
func TestSecond_believable(t *testing.T) {
	a4 := func(code string) string {
		return string(appendPacked([]byte{0}, wire.Answer, wire.TypeA, []byte(code)))
	}
	good := a4("\x7f\x00\x00\x02")
	for name, data := range map[string]string{
		"nothing":              "",
		"an error code":        a4("\x7f\xff\xff\xfe"),
		"a parked address":     a4("\xcb\x00\x71\x50"),
		"an address too short": a4("\x7f\x00\x00"),
		"SERVFAIL":             "\x02",
		"cut":                  good[:len(good)-1],
		"an octet more":        good + "\x00",
		"text for an address":  string(appendPacked([]byte{0}, wire.Answer, wire.TypeTXT, []byte("\x01x"))),
		"another section":      string(appendPacked([]byte{0}, wire.Authority, wire.TypeA, []byte("\x7f\x00\x00\x02"))),
	} {
		second := newSecond()
		a, b := pair(t, second)
		a.ask("1.2.0.192.bl.test", dns.TypeA)
		a.r.flights.wg.Wait()
		second.change(func(string) string { return stamp(packed(data), time.Now().Unix()) })
		if got := brief(b.ask("1.2.0.192.bl.test", dns.TypeA)); got != "NOERROR 127.0.0.10" || b.list.questions() != 1 {
			t.Errorf("%s: %s after %d questions, want the list's own answer", name, got, b.list.questions())
		}
	}
	second := newSecond()
	a, b := pair(t, second)
	a.ask("1.2.0.192.bl.test", dns.TypeA)
	a.r.flights.wg.Wait()
	second.change(func(string) string { return stamp(packed(good), time.Now().Unix()) })
	if got := brief(b.ask("1.2.0.192.bl.test", dns.TypeA)); got != "NOERROR 127.0.0.2" || b.list.questions() != 0 {
		t.Errorf("a good value: %s after %d questions", got, b.list.questions())
	}
}

// TestZone_believable_range: an error code is none only where listed names it.
func TestZone_believable_range(t *testing.T) {
	blocked := packed(appendPacked([]byte{0}, wire.Answer, wire.TypeA, []byte("\x7f\xff\xff\xfe")))
	for listed, want := range map[string]bool{"127.0.0.0/8": false, "127.255.255.254": true} {
		set, err := rbl.ParseCodeSet([]string{listed})
		if err != nil {
			t.Fatal(err)
		}
		z := &zone{ZoneOptions: ZoneOptions{Listed: set}}
		if got := z.believable(blocked, wire.TypeA); got != want {
			t.Errorf("listed = %q: 127.255.255.254 is believed: %t", listed, got)
		}
	}
}
