package resolver

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/combine"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// weighed makes a combined zone of members, by package combine as the program
// does it.
func weighed(t testing.TB, name string, threshold int, weights map[string]int) ZoneOptions {
	t.Helper()
	plan, err := combine.Parse(weights, threshold)
	if err != nil {
		t.Fatal(err)
	}
	return ZoneOptions{
		Name: name, Source: SourceCombined, Holds: rbl.HoldsAll, Listed: rbl.DefaultListed(), Fingerprint: name,
		Members: plan.Members(),
		Weigh: func(members []rbl.Answer) Sum {
			v := plan.Decide(members)
			return Sum{Known: v.Known, Listed: v.Listed, Doubtful: v.Doubtful, Text: v.Text}
		},
	}
}

// TestExplain_members wants the steps of each member below its name, whatever
// the order in which their lists answer. The weights are such that each counts.
func TestExplain_members(t *testing.T) {
	first, last := spamhaus(), spamhaus()
	last.records = map[string][]string{}
	s := newScene(t, []ZoneOptions{
		testZone("a.test", first), testZone("b.test", last), testZone("c.test", last),
		weighed(t, "score.test", 3, map[string]int{"a.test": 4, "b.test": -2, "c.test": -2}),
	})
	want := []Step{
		{0, "member a.test"}, {7, "the list has it: 127.0.0.10"},
		{0, "member b.test"}, {7, "the list does not have it"},
		{0, "member c.test"}, {7, "the list does not have it"},
		{7, "score 4 of 3: a.test 127.0.0.10 (+4)"},
	}
	for _, when := range []string{"cold", "warm"} {
		e := s.r.Explain(t.Context(), ip4("192.0.2.1"), "score.test")
		if got := e[0].Steps; !slices.Equal(got, want) {
			t.Errorf("%s: steps %v, want %v", when, got, want)
		}
	}
}

// TestCombined_failure: when no member could be asked, the answer is as
// on_failure says, unless the subject is exempt or a retry cannot help.
func TestCombined_failure(t *testing.T) {
	dead, lying := &fakeList{err: upstream.ErrTimeout}, &fakeList{lies: "lists the world"}
	zone := func(name string, servfail bool, members ...string) ZoneOptions {
		weights := map[string]int{}
		for _, m := range members {
			weights[m] = 1
		}
		z := weighed(t, name, 1, weights)
		z.ServfailOnFailure = servfail
		return z
	}
	s := newScene(t, []ZoneOptions{
		testZone("dead.test", dead), testZone("lying.test", lying), testZone("good.test", spamhaus()),
		zone("kind.test", false, "dead.test"),
		zone("sum.test", true, "dead.test", "lying.test"),
		zone("vain.test", true, "lying.test"),
		zone("half.test", true, "dead.test", "good.test"),
		zone("outer.test", true, "sum.test"),
		zone("vainer.test", true, "vain.test"),
	}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.7"}, Zones: []string{"sum.test", "outer.test"}})
	for name, want := range map[string]string{
		"9.2.0.192.kind.test":   "NXDOMAIN 22",
		"9.2.0.192.sum.test":    "SERVFAIL 22",
		"7.2.0.192.sum.test":    "NXDOMAIN 17",
		"9.2.0.192.vain.test":   "NXDOMAIN 22",
		"9.2.0.192.half.test":   "NXDOMAIN 22",
		"9.2.0.192.outer.test":  "SERVFAIL 22",
		"7.2.0.192.outer.test":  "NXDOMAIN 17",
		"9.2.0.192.vainer.test": "NXDOMAIN 22",
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
			m := s.ask(name, typ)
			code, _ := ede(m)
			if got := fmt.Sprint(brief(m), " ", code); got != want {
				t.Errorf("%s, type %d: %s, want %s", name, typ, got, want)
			}
		}
	}
}

// TestCombined_exempt: whom a rule of the combined zone alone exempts does not
// wait for members from which the exemption takes all. What it saves there is
// counted.
func TestCombined_exempt(t *testing.T) {
	l := spamhaus()
	l.hold = make(chan struct{})
	m := testZone("m.test", l)
	m.Verify = true
	s := newScene(t, []ZoneOptions{
		m, weighed(t, "inner.test", 1, map[string]int{"m.test": 1}),
		weighed(t, "outer.test", 1, map[string]int{"inner.test": 1, "m.test": 1}),
	}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.1"}, Zones: []string{"outer.test"}})
	pkt, err := new(dns.Msg).SetQuestion("1.2.0.192.outer.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if out, done := s.r.Respond(NewScratch(0), pkt, testClient, false); !done || out[3]&0xf != dns.RcodeNameError {
		t.Errorf("answered at once: %t (%x), want NXDOMAIN", done, out)
	}
	close(l.hold)
	s.r.flights.wg.Wait()
	s.ask("1.2.0.192.outer.test", dns.TypeA)
	if got := s.r.Totals()[0].Exempted; got == 0 {
		t.Error("no listing is counted that the exemption saved")
	}
}

// TestCombined_doubt: a combined zone that might have listed, had all of its
// members been heard, counts in another one like a member that failed: a good
// word is taken as given, a bad one is not, at any depth.
func TestCombined_doubt(t *testing.T) {
	dead := &fakeList{err: upstream.ErrTimeout}
	s := newScene(t, []ZoneOptions{
		testZone("bl.test", spamhaus()), testZone("quiet.test", &fakeList{ttl: 300}), testZone("dead.test", dead),
		weighed(t, "half.test", 1, map[string]int{"quiet.test": 1, "dead.test": 1}),
		weighed(t, "heard.test", 4, map[string]int{"quiet.test": 3, "dead.test": 3}),
		weighed(t, "outer.test", 1, map[string]int{"half.test": 1}),
		weighed(t, "good.test", 4, map[string]int{"bl.test": 4, "half.test": -3}),
		weighed(t, "deeper.test", 4, map[string]int{"bl.test": 4, "outer.test": -3}),
		weighed(t, "bad.test", 4, map[string]int{"bl.test": 1, "half.test": 3}),
		weighed(t, "sure.test", 4, map[string]int{"bl.test": 4, "heard.test": -3}),
	})
	for _, member := range []string{"quiet.test", "dead.test"} { // so that no sum is known before all is
		s.ask("1.2.0.192."+member, dns.TypeA)
	}
	for name, want := range map[string]string{
		"1.2.0.192.good.test":   "NXDOMAIN 22 half.test: dead.test: no answer in time",
		"1.2.0.192.deeper.test": "NXDOMAIN 22 outer.test: half.test: dead.test: no answer in time",
		"1.2.0.192.bad.test":    "NXDOMAIN 22 half.test: dead.test: no answer in time",
		"1.2.0.192.sure.test":   "NOERROR 127.0.0.2 0 ",
	} {
		m := s.ask(name, dns.TypeA)
		code, text := ede(m)
		if got := fmt.Sprint(brief(m), " ", code, " ", text); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]Verdict{"half.test": Failed, "heard.test": Unlisted, "sure.test": Listed} {
		if e := s.r.ListAnswers(t.Context(), ip4("192.0.2.1"), name)[0]; e.Verdict != want {
			t.Errorf("the zone's own word in %s is %v, want %v", name, e.Verdict, want)
		}
	}
}

// TestCombined_stale: a sum of old answers says that it is one. RFC 8914,
// sections 4.4 and 4.20.
func TestCombined_stale(t *testing.T) {
	l := spamhaus()
	s := newScene(t, []ZoneOptions{
		testZone("old.test", l), testZone("dead.test", &fakeList{err: upstream.ErrTimeout}),
		weighed(t, "sum.test", 1, map[string]int{"old.test": 1}),
		weighed(t, "half.test", 1, map[string]int{"old.test": 1, "dead.test": 1}),
	})
	want := map[string]string{
		"1.2.0.192.sum.test":  "NOERROR 127.0.0.2 3 old.test: no answer in time",
		"9.2.0.192.sum.test":  "NXDOMAIN 19 old.test: no answer in time",
		"9.2.0.192.half.test": "NXDOMAIN 22 dead.test: no answer in time",
	}
	for name := range want {
		s.ask(name, dns.TypeA)
	}
	s.r.clock.mono.Add(uint32(20 * time.Minute / time.Second))
	l.set(func() { l.err = upstream.ErrTimeout })
	for name, want := range want {
		m := s.ask(name, dns.TypeA)
		code, text := ede(m)
		if got := fmt.Sprint(brief(m), " ", code, " ", text); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestCombined_nested: an exemption in the outer zone reaches the members of a
// member, and leaves there what it must not remove.
func TestCombined_nested(t *testing.T) {
	l := spamhaus()
	l.records["4.2.0.192.list.example A"] = []string{"127.0.0.2"}
	member := testZone("m.test", l)
	member.NoOverride = codes(t, "127.0.0.2")
	zones := []ZoneOptions{
		member,
		weighed(t, "inner.test", 1, map[string]int{"m.test": 1}),
		weighed(t, "outer.test", 1, map[string]int{"inner.test": 1}),
		weighed(t, "tens.test", 1, map[string]int{"m.test=127.0.0.10": 1}),
	}
	deny := func(name, addr, code string) overrides.Rule {
		return overrides.Rule{Name: name, Action: overrides.Deny, CIDR: []string{addr}, Zones: []string{"m.test"}, Code: netip.MustParseAddr(code)}
	}
	s := newScene(t, zones,
		overrides.Rule{Name: "r", CIDR: []string{"192.0.2.0/24"}, Zones: []string{"outer.test"}},
		overrides.Rule{Name: "m", CIDR: []string{"192.0.2.2"}, Zones: []string{"m.test"}},
		deny("sure", "192.0.2.21", "127.0.0.2"), deny("too", "192.0.2.4", "127.0.0.9"))
	for name, want := range map[string]string{
		"1.2.0.192.inner.test": "NOERROR 127.0.0.2", // 127.0.0.10 there
		"1.2.0.192.outer.test": "NXDOMAIN",
		"2.2.0.192.outer.test": "NOERROR 127.0.0.2", // 127.0.0.2 too, which goes on counting
		"9.2.0.192.outer.test": "NXDOMAIN",
		"2.2.0.192.tens.test":  "NXDOMAIN", // exempt in the member: 127.0.0.10 is gone there
		"1.2.0.192.tens.test":  "NOERROR 127.0.0.2",
		// A deny rule is beaten by an exemption above it, as by one beside it: what
		// the list says counts then.
		"4.2.0.192.outer.test":  "NOERROR 127.0.0.2",
		"21.2.0.192.outer.test": "NXDOMAIN",
		"21.2.0.192.inner.test": "NOERROR 127.0.0.2",
	} {
		if got := brief(s.ask(name, dns.TypeA)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestCombined_ttl: a sum lives no longer than what it was made of.
func TestCombined_ttl(t *testing.T) {
	brief, long := spamhaus(), spamhaus()
	brief.ttl = 20
	s := newScene(t, []ZoneOptions{
		testZone("brief.test", brief), testZone("long.test", long),
		weighed(t, "sum.test", 4, map[string]int{"brief.test": 2, "long.test": 2}),
		weighed(t, "long.sum.test", 2, map[string]int{"long.test": 2}),
	})
	for name, want := range map[string]uint32{
		"1.2.0.192.sum.test": 20, "1.2.0.192.long.sum.test": 60, "9.2.0.192.long.sum.test": 60,
	} {
		m := s.ask(name, dns.TypeA)
		for _, rr := range append(m.Answer, m.Ns...) {
			if ttl := rr.Header().Ttl; ttl != want {
				t.Errorf("%s: a TTL of %d, want %d", name, ttl, want)
			}
		}
	}
}
