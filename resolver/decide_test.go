package resolver

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// spamhaus has an address with every kind of code.
func spamhaus() *fakeList {
	return &fakeList{ttl: 300, records: map[string][]string{
		"2.0.0.127.list.example A":   {"127.0.0.2", "127.0.0.10"},
		"2.0.0.127.list.example TXT": {"a test"},
		"1.2.0.192.list.example A":   {"127.0.0.10"},
		"1.2.0.192.list.example TXT": {"see list.example for 192.0.2.1"},
		"2.2.0.192.list.example A":   {"127.0.0.2", "127.0.0.10"},
		"2.2.0.192.list.example TXT": {"two reasons"},
		"3.2.0.192.list.example A":   {"127.0.1.255"},
		"bad.example.list.example A": {"127.0.0.2"},
		"odd.example.list.example A": {"127.0.0.1"},

		"text.example.list.example TXT": {"of what is not listed"},
	}}
}

func TestDecide(t *testing.T) {
	plain := func(t *testing.T) ZoneOptions { return testZone("bl.test", spamhaus()) }
	pbl := func(t *testing.T) ZoneOptions {
		z := plain(t)
		z.Listed = codes(t, "127.0.0.2-127.0.0.11")
		z.NoOverride = codes(t, "127.0.0.2")
		return z
	}
	mode := func(m Mode) func(t *testing.T) ZoneOptions {
		return func(t *testing.T) ZoneOptions { z := plain(t); z.Mode = m; return z }
	}
	trust := func(t *testing.T) ZoneOptions { z := plain(t); z.Allow = true; return z }
	keyed := func(t *testing.T) ZoneOptions { z := plain(t); z.Secrets = []string{"list"}; return z }
	only6 := func(t *testing.T) ZoneOptions { z := plain(t); z.Holds = rbl.HoldsIP6; return z }

	allow := overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/24", "127.0.0.2"}, Domains: []string{".bad.example"}}
	elsewhere := overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/24"}, Zones: []string{"other.test"}}
	deny := overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.0/24"},
		Zones: []string{"bl.test"}, Code: netip.MustParseAddr("127.0.0.9"), Text: "not here"}

	tests := []struct {
		name  string
		zone  func(*testing.T) ZoneOptions
		rules []overrides.Rule
		ask   string // left of the zone, and the type
		want  string
		ede   uint16
	}{
		{"listed", plain, nil, "1.2.0.192 A", "NOERROR 127.0.0.10", 0},
		{"the text of the list, with what it links to", plain, nil, "1.2.0.192 TXT", "NOERROR see list.example for 192.0.2.1", 0},
		{"the text of a list with a key, under the zone's name", keyed, nil, "1.2.0.192 TXT", "NOERROR see bl.test for 192.0.2.1", 0},
		{"unlisted", plain, nil, "9.2.0.192 A", "NXDOMAIN", 0},
		{"unlisted is unlisted for every type", plain, nil, "9.2.0.192 MX", "NXDOMAIN", 0},
		{"listed, asked for a type that no list has", plain, nil, "1.2.0.192 AAAA", "NOERROR", 0},
		{"listed, ANY", plain, nil, "1.2.0.192 ANY", "NOERROR HINFO", 0},
		{"unlisted, ANY", plain, nil, "9.2.0.192 ANY", "NXDOMAIN", 0},
		{"the DS of a name in the zone is nobody else's to answer", plain, nil, "1.2.0.192 DS", "NOERROR", 0},
		{"an incomplete address", plain, nil, "2.0.192 A", "NOERROR", 0},
		{"a code that is no listing", pbl, nil, "3.2.0.192 A", "NXDOMAIN", 0},
		{"a shape that the list does not hold", only6, nil, "1.2.0.192 A", "NXDOMAIN", 0},
		{"a domain with a code that is no listing", plain, nil, "odd.example A", "NXDOMAIN", 0},
		{"a domain that has only names below", plain, nil, "text.example A", "NOERROR", 0},
		{"a domain", plain, nil, "bad.example A", "NOERROR 127.0.0.2", 0},

		{"step 3: off", mode(Off), nil, "1.2.0.192 A", "NXDOMAIN", 0},
		{"step 3 before 4: off", mode(Off), nil, "2.0.0.127 A", "NXDOMAIN", 0},
		{"step 4: a test entry is never overridden", plain, []overrides.Rule{allow}, "2.0.0.127 A", "NOERROR 127.0.0.2 127.0.0.10", 0},
		{"step 4: its text", plain, []overrides.Rule{allow}, "2.0.0.127 TXT", "NOERROR a test", 0},
		{"step 4: observe leaves it alone", mode(Observe), nil, "2.0.0.127 A", "NOERROR 127.0.0.2 127.0.0.10", 0},
		{"step 4: what must not be listed", plain, nil, "1.0.0.127 A", "NXDOMAIN", 0},
		{"step 5: exempt", plain, []overrides.Rule{allow}, "1.2.0.192 A", "NXDOMAIN", 17},
		{"step 5: exempt for TXT", plain, []overrides.Rule{allow}, "1.2.0.192 TXT", "NXDOMAIN", 17},
		{"step 5: an exempt domain", plain, []overrides.Rule{allow}, "bad.example A", "NXDOMAIN", 17},
		{"step 5: a rule for another zone", plain, []overrides.Rule{elsewhere}, "1.2.0.192 A", "NOERROR 127.0.0.10", 0},
		{"step 5: not in a zone that trusts", trust, []overrides.Rule{allow}, "1.2.0.192 A", "NOERROR 127.0.0.10", 0},
		{"step 6: denied", plain, []overrides.Rule{deny}, "7.2.0.192 A", "NOERROR 127.0.0.9", 0},
		{"step 6: the text", plain, []overrides.Rule{deny}, "7.2.0.192 TXT", "NOERROR not here", 0},
		{"step 6: allow beats deny", plain, []overrides.Rule{deny, allow}, "7.2.0.192 A", "NXDOMAIN", 17},
		{"step 7: only what may be removed goes", pbl, []overrides.Rule{allow}, "2.2.0.192 A", "NOERROR 127.0.0.2", 0},
		{"step 7: the text follows", pbl, []overrides.Rule{allow}, "2.2.0.192 TXT", "NOERROR two reasons", 0},
		{"step 7: nothing remains", pbl, []overrides.Rule{allow}, "1.2.0.192 A", "NXDOMAIN", 17},
		{"step 7: nothing remains for TXT", pbl, []overrides.Rule{allow}, "1.2.0.192 TXT", "NXDOMAIN", 17},
		{"step 7: exempt, and the list does not have it", pbl, []overrides.Rule{allow}, "9.2.0.192 A", "NXDOMAIN", 17},
		{"step 7: without an exemption all remain", pbl, nil, "2.2.0.192 A", "NOERROR 127.0.0.2 127.0.0.10", 0},
		{"observe", mode(Observe), nil, "1.2.0.192 A", "NXDOMAIN", 0},
		{"observe, asked for the text", mode(Observe), nil, "1.2.0.192 TXT", "NXDOMAIN", 0},
		{"observe, ANY", mode(Observe), nil, "1.2.0.192 ANY", "NXDOMAIN", 0},
		{"observe an incomplete address", mode(Observe), nil, "2.0.192 A", "NOERROR", 0},
		{"observe, for a type that no list has", mode(Observe), nil, "1.2.0.192 AAAA", "NXDOMAIN", 0},
		{"observe a denial", mode(Observe), []overrides.Rule{deny}, "7.2.0.192 TXT", "NXDOMAIN", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := tt.zone(t)
			zones := []ZoneOptions{z, testZone("other.test", spamhaus())}
			s := newScene(t, zones, tt.rules...)
			labels, typ, _ := strings.Cut(tt.ask, " ")
			for _, when := range []string{"cold", "warm"} {
				m := s.ask(labels+".bl.test", dns.StringToType[typ])
				if got := brief(m); got != tt.want {
					t.Errorf("%s: got %s, want %s", when, got, tt.want)
				}
				if code, text := ede(m); code != tt.ede || (code == edeFiltered) != strings.HasPrefix(text, "exempt: office (") {
					t.Errorf("%s: extended error %d %q, want %d", when, code, text, tt.ede)
				}
				if len(m.Answer) == 0 && (len(m.Ns) != 1 || m.Ns[0].Header().Name != "bl.test.") {
					t.Errorf("%s: the authority section of a negative answer is %v", when, m.Ns)
				}
			}
		})
	}
}

func TestDecide_failures(t *testing.T) {
	allow := overrides.Rule{Name: "office", CIDR: []string{"192.0.2.1", "127.0.0.2"}}
	servfail := testZone("bl.test", nil)
	servfail.ServfailOnFailure = true
	kept := testZone("bl.test", nil)
	kept.NoOverride = codes(t, "127.0.0.2")

	tests := []struct {
		name string
		zone ZoneOptions
		list *fakeList
		ask  string
		want string
		ede  uint16
	}{
		{"a timeout is no listing", testZone("bl.test", nil), &fakeList{err: upstream.ErrTimeout}, "9.2.0.192", "NXDOMAIN", 22},
		{"a SERVFAIL is no listing", testZone("bl.test", nil), &fakeList{err: upstream.ErrServfail}, "9.2.0.192", "NXDOMAIN", 23},
		{"on_failure servfail", servfail, &fakeList{err: upstream.ErrTimeout}, "9.2.0.192", "SERVFAIL", 22},
		{"on_failure servfail, but exempt", servfail, &fakeList{err: upstream.ErrTimeout}, "1.2.0.192", "NXDOMAIN", 17},
		{"a test entry, which nothing exempts", servfail, &fakeList{err: upstream.ErrTimeout}, "2.0.0.127", "SERVFAIL", 22},
		{"exempt as far as may be", kept, &fakeList{err: upstream.ErrTimeout}, "1.2.0.192", "NXDOMAIN", 17},
		{"an error code is no listing", testZone("bl.test", nil), &fakeList{err: &upstream.CodeError{Name: "public resolver"}}, "9.2.0.192", "NXDOMAIN", 22},
		{"an error code is no SERVFAIL", servfail, &fakeList{err: &upstream.CodeError{Name: "public resolver"}}, "9.2.0.192", "NXDOMAIN", 22},
		{"a quarantined list", servfail, &fakeList{lies: "lists the world"}, "9.2.0.192", "NXDOMAIN", 22},
		{"an open breaker", testZone("bl.test", nil), &fakeList{open: "no answer since noon"}, "9.2.0.192", "NXDOMAIN", 22},
		{"an open breaker and on_failure servfail", servfail, &fakeList{open: "no answer since noon"}, "9.2.0.192", "SERVFAIL", 22},
		{"a breaker that an error code opened", servfail, &fakeList{open: "blocked", refuses: true}, "9.2.0.192", "NXDOMAIN", 22},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.zone.List = tt.list
			s := newScene(t, []ZoneOptions{tt.zone}, allow)
			for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
				m := s.ask(tt.ask+".bl.test", typ)
				if got := brief(m); got != tt.want {
					t.Errorf("type %d: got %s, want %s", typ, got, tt.want)
				}
				if code, _ := ede(m); code != tt.ede {
					t.Errorf("type %d: extended error %d, want %d", typ, code, tt.ede)
				}
			}
			if n := tt.list.questions(); n > 1 {
				t.Errorf("a failing list was asked %d times for one subject, want once at most", n)
			}
		})
	}
}

func TestDecide_localZones(t *testing.T) {
	deny := testZone("deny.test", nil)
	deny.Source, deny.List = SourceDeny, nil
	published := testZone("allow.test", nil)
	published.Source, published.List, published.Allow = SourceAllow, nil, true
	s := newScene(t, []ZoneOptions{deny, published,
		fileZone(t, "file.test", "10.0.0.1\n"), fileZone(t, "own.test", ":127.0.0.5:\n127.0.0.2\n")},
		overrides.Rule{Name: "trusted", CIDR: []string{"192.0.2.1"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.0/24"}, Zones: []string{"deny.test"}, Text: "no"},
		overrides.Rule{Name: "terse", Action: overrides.Deny, CIDR: []string{"10.9.9.9"}, Zones: []string{"deny.test"}},
	)
	for ask, want := range map[string]string{
		"9.2.0.192.deny.test A":    "NOERROR 127.0.0.2",
		"9.2.0.192.deny.test TXT":  "NOERROR no",
		"9.9.9.10.deny.test A":     "NOERROR 127.0.0.2",
		"9.9.9.10.deny.test TXT":   "NOERROR listed by the rule terse",
		"1.2.0.192.deny.test A":    "NXDOMAIN",
		"1.2.0.10.deny.test A":     "NXDOMAIN",
		"2.0.0.127.deny.test A":    "NOERROR 127.0.0.2",
		"1.0.0.127.deny.test A":    "NXDOMAIN",
		"1.2.0.192.allow.test A":   "NOERROR 127.0.0.2",
		"1.2.0.192.allow.test TXT": "NOERROR allowed by trusted",
		"9.2.0.192.allow.test A":   "NXDOMAIN",
		"test.deny.test A":         "NOERROR 127.0.0.2",
		"invalid.deny.test A":      "NXDOMAIN",
		"2.0.0.127.file.test A":    "NOERROR 127.0.0.2",
		"1.0.0.127.file.test A":    "NXDOMAIN",
		"2.0.0.127.own.test A":     "NOERROR 127.0.0.5",
		"deny.test SOA":            "NOERROR SOA",
		"deny.test NS":             "NOERROR NS",
		"deny.test A":              "NOERROR",
	} {
		name, typ, _ := strings.Cut(ask, " ")
		if got := brief(s.ask(name, dns.StringToType[typ])); got != want {
			t.Errorf("%s: got %s, want %s", ask, got, want)
		}
	}
}

// TestHolds_testEntries: a list is not asked for the test entries of what it
// does not hold either. The DBL answers an address with an error code.
func TestHolds_testEntries(t *testing.T) {
	domains, addresses := &fakeList{all: "127.0.1.2"}, &fakeList{all: "127.0.0.2"}
	dbl, bl := testZone("dbl.test", domains), testZone("bl.test", addresses)
	dbl.Holds, bl.Holds = rbl.HoldsDomain, rbl.HoldsIP4
	s := newScene(t, []ZoneOptions{dbl, bl})
	mapped := "2.0.0.0.0.0.f.7.f.f.f.f." + strings.Repeat("0.", 20)
	for name, want := range map[string]string{
		"2.0.0.127.dbl.test": "NXDOMAIN", mapped + "dbl.test": "NXDOMAIN", "test.dbl.test": "NOERROR 127.0.1.2",
		"2.0.0.127.bl.test": "NOERROR 127.0.0.2", mapped + "bl.test": "NXDOMAIN", "test.bl.test": "NXDOMAIN",
	} {
		if got := brief(s.ask(name, dns.TypeA)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if domains.questions() != 1 || addresses.questions() != 1 {
		t.Errorf("%d and %d questions, want one each", domains.questions(), addresses.questions())
	}
}

// TestObserve_apex: the zone's own name is nobody of whom to observe anything.
func TestObserve_apex(t *testing.T) {
	z := testZone("bl.test", &fakeList{err: upstream.ErrTimeout})
	z.Mode = Observe
	if got := brief(newScene(t, []ZoneOptions{z}).ask("bl.test", dns.TypeMX)); got != "SERVFAIL" {
		t.Errorf("a zone whose list cannot be asked for its own name answers %s, want SERVFAIL", got)
	}
}

// TestObserve_stale: what is answered in the place of a listing past its TTL,
// or of one whose text cannot be had, is as fresh as ever.
func TestObserve_stale(t *testing.T) {
	l := spamhaus()
	z := testZone("bl.test", l)
	z.Mode = Observe
	s := newScene(t, []ZoneOptions{z})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	s.r.clock.mono.Add(301)
	l.set(func() { l.err = upstream.ErrTimeout })
	for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
		m := s.ask("1.2.0.192.bl.test", typ)
		if code, text := ede(m); brief(m) != "NXDOMAIN" || code != 0 {
			t.Errorf("type %d: %s with extended error %d %q, want none", typ, brief(m), code, text)
		}
	}
	if m := s.ask("9.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
		t.Errorf("not listed as far as is known: %s", brief(m))
	} else if code, _ := ede(m); code != edeUnreachable {
		t.Errorf("that the list cannot be asked: extended error %d, want %d", code, edeUnreachable)
	}
}

// TestReverse_stale: while reverse DNS fails or dawdles, an old listing does not
// stand in: no failure of DNS is a listing. That there was none stands in.
func TestReverse_stale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spamhaus()
		z := testZone("rdns.test", l)
		z.Source, z.ServfailOnFailure = SourceRDNS, true
		s := newScene(t, []ZoneOptions{z})
		asked := []string{"1.2.0.192.rdns.test", "9.2.0.192.rdns.test"}
		for _, name := range asked {
			s.ask(name, dns.TypeA)
		}
		s.r.clock.mono.Add(301)
		l.set(func() { l.err, l.delay = upstream.ErrTimeout, 2*slowAfter })
		for _, again := range []string{"the first question", "the second"} {
			for _, name := range asked {
				m := s.ask(name, dns.TypeA)
				code, _ := ede(m)
				if stale := code == edeStaleNXDomain; brief(m) != "NXDOMAIN" || stale != (name == asked[1]) {
					t.Errorf("%s about %s: %s with extended error %d", again, name, brief(m), code)
				}
			}
		}
		s.r.Close()
	})
}

// TestDecide_tooLong asks about the longest name below a zone whose list's own
// name, with a key in it, is longer than the zone's: there is no such question.
func TestDecide_tooLong(t *testing.T) {
	l := &fakeList{err: upstream.ErrServfail}
	z := testZone("bl.test", l)
	z.Upstream, z.ServfailOnFailure = "k3y.list.example", true
	s := newScene(t, []ZoneOptions{z})
	long := strings.Repeat("a", 59) + strings.Repeat("."+strings.Repeat("a", 60), 3)
	for name, want := range map[string]string{
		long[:236] + ".bl.test": "SERVFAIL", // 255 octets with the list's name
		long[:237] + ".bl.test": "NXDOMAIN",
		long + ".bl.test":       "NXDOMAIN",
	} {
		if got := brief(s.ask(name, dns.TypeA)); got != want {
			t.Errorf("a name of %d octets: %s, want %s", len(name)+2, got, want)
		}
	}
	if l.questions() != 1 {
		t.Errorf("the list was asked %q", l.asked)
	}
}

// TestStale_errorCode: an error code is a failure like any other. What the list
// said before it stands in, also before the breaker opens.
func TestStale_errorCode(t *testing.T) {
	l := spamhaus()
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	s.r.clock.mono.Add(301)
	l.set(func() { l.err = &upstream.CodeError{Name: "blocked"} })
	for _, when := range []string{"the first question", "the second", "with the breaker open"} {
		m := s.ask("1.2.0.192.bl.test", dns.TypeA)
		if code, _ := ede(m); brief(m) != "NOERROR 127.0.0.10" || code != edeStale || m.Answer[0].Header().Ttl != staleTTL {
			t.Errorf("%s: %s with extended error %d, want the stale answer", when, brief(m), code)
		}
		if when == "the second" {
			l.set(func() { l.open, l.refuses = "blocked", true })
		}
	}
}

// TestTTL_own: what no list said lives for a minute, also where the list's own
// answer, which is not given, would live longer. Postfix's postscreen keeps
// nothing for less.
func TestTTL_own(t *testing.T) {
	observed, off := testZone("observed.test", spamhaus()), testZone("off.test", nil)
	observed.Mode, off.Mode = Observe, Off
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus()), observed, off},
		overrides.Rule{Name: "office", CIDR: []string{"192.0.2.1"}, Zones: []string{"bl.test"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.7"}, Zones: []string{"bl.test"}})
	for name, want := range map[string]string{
		"1.2.0.192.bl.test": "NXDOMAIN", "7.2.0.192.bl.test": "NOERROR 127.0.0.2",
		"1.2.0.192.observed.test": "NXDOMAIN", "1.2.0.192.off.test": "NXDOMAIN",
	} {
		m := s.ask(name, dns.TypeA)
		if brief(m) != want {
			t.Fatalf("%s: %s, want %s", name, brief(m), want)
		}
		for _, rr := range append(m.Answer, m.Ns...) {
			if soa, ok := rr.(*dns.SOA); rr.Header().Ttl != 60 || ok && (soa.Minttl != 60 || soa.Ns != "localhost.") {
				t.Errorf("%s: %s, want a record of ours that lives for 60 s", name, rr)
			}
		}
	}
}

func TestTTL_countsDown(t *testing.T) {
	l := spamhaus()
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	s.r.clock.mono.Add(100)
	m := s.ask("1.2.0.192.bl.test", dns.TypeA)
	if ttl := m.Answer[0].Header().Ttl; ttl != 200 {
		t.Errorf("TTL after 100 s of 300 is %d, want 200", ttl)
	}
	s.r.clock.mono.Add(200)
	l.set(func() { l.err = upstream.ErrTimeout })
	m = s.ask("1.2.0.192.bl.test", dns.TypeA)
	if code, _ := ede(m); brief(m) != "NOERROR 127.0.0.10" || code != 3 || m.Answer[0].Header().Ttl != 30 {
		t.Errorf("past its TTL with a failing list: %s with extended error %d, want the stale answer", brief(m), code)
	}
	s.r.clock.mono.Add(uint32(time.Hour / time.Second))
	if m = s.ask("1.2.0.192.bl.test", dns.TypeA); brief(m) != "NXDOMAIN" {
		t.Errorf("an hour later: %s, want no answer as old as that", brief(m))
	}
}
