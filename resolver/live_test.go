package resolver

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

	"dnsblproxy/overrides"
	"dnsblproxy/overrides/spf"
)

// faxDNS is the DNS of fax.test, whose record names its senders one by one.
type faxDNS struct {
	mu    sync.Mutex
	asked []string      // of the senders' names
	delay time.Duration // of answers about them
	fails bool          // those names cannot be asked about
}

func (d *faxDNS) Lookup(_ context.Context, name string, typ spf.Type) (spf.Answer, error) {
	if name == "fax.test" && typ == spf.TypeTXT {
		return spf.Answer{Strings: []string{"v=spf1 exists:%{i}._ok.fax.test -all"}, TTL: 300e9}, nil
	}
	addr, isSender := strings.CutSuffix(name, "._ok.fax.test")
	if !isSender {
		return spf.Answer{NXDOMAIN: true, TTL: 300e9}, nil
	}
	time.Sleep(d.delay)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, addr)
	if d.fails {
		return spf.Answer{}, errors.New("no answer")
	}
	if !strings.HasPrefix(addr, "192.0.2.") || addr == "192.0.2.2" {
		return spf.Answer{NXDOMAIN: true, TTL: 300e9}, nil
	}
	return spf.Answer{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.2")}, TTL: 300e9}, nil
}

// TestLive_unheard has what the list says come so late, or so many questions
// wait, that a term cannot be evaluated which would exempt a sender, or would
// not: it is not listed then, unless by a code that no exemption removes.
func TestLive_unheard(t *testing.T) {
	for _, overload := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := &fakeList{ttl: 3600, records: map[string][]string{
				"1.2.0.192.list.example A": {"127.0.0.10"},
				"3.2.0.192.list.example A": {"127.0.0.2", "127.0.0.10"},
			}}
			zones := []ZoneOptions{
				testZone("bl.test", l), testZone("servfail.test", l), testZone("kept.test", l), testZone("member.test", l),
				weighed(t, "sum.test", 1, map[string]int{"member.test": 1}),
			}
			zones[1].ServfailOnFailure = true
			zones[2].NoOverride, zones[3].NoOverride = codes(t, "127.0.0.2"), codes(t, "127.0.0.2")
			senders := &faxDNS{}
			s := newSceneWith(t, overrides.Options{Resolver: senders}, zones, overrides.Rule{Name: "fax", SPF: []string{"fax.test"}})
			if overload {
				for _, z := range zones {
					s.ask("1.2.0.192."+z.Name, dns.TypeA)
					s.ask("3.2.0.192."+z.Name, dns.TypeA)
				}
				time.Sleep(301 * time.Second) // the verdicts run out, the list's answers do not
				s.r.bounds.perClient = 0
			} else {
				l.delay, senders.delay = 3500*time.Millisecond, time.Second
			}
			for name, want := range map[string]string{
				"1.2.0.192.bl.test":       "NXDOMAIN 22",
				"1.2.0.192.kept.test":     "NXDOMAIN 22",
				"1.2.0.192.servfail.test": "SERVFAIL 22",
				"1.2.0.192.sum.test":      "NXDOMAIN 22",
				"3.2.0.192.kept.test":     "NOERROR 127.0.0.2 127.0.0.10 0",
				"3.2.0.192.sum.test":      "NOERROR 127.0.0.2 0",
			} {
				m := s.ask(name, dns.TypeA)
				code, _ := ede(m)
				if got := fmt.Sprint(brief(m), " ", code); got != want {
					t.Errorf("overload %t, %s: %s, want %s", overload, name, got, want)
				}
				time.Sleep(301 * time.Second) // what was evaluated too late is forgotten
			}
			s.r.Close()
		})
	}
}

// TestLive_unsure has a sender's DNS fail for a while. The sender is not exempt
// for half a minute, and so nobody may keep the listing for longer, nor is to be
// told that the record does not pass.
func TestLive_unsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeList{ttl: 3600, records: map[string][]string{
			"1.2.0.192.list.example A": {"127.0.0.10"}, "1.2.0.192.list.example TXT": {"listed"},
			"3.2.0.192.list.example A": {"127.0.0.2"},
		}}
		zones := []ZoneOptions{testZone("bl.test", l), testZone("m.test", l), weighed(t, "sum.test", 1, map[string]int{"m.test": 1})}
		zones[0].NoOverride = codes(t, "127.0.0.2")
		senders := &faxDNS{}
		s := newSceneWith(t, overrides.Options{Resolver: senders}, zones,
			overrides.Rule{Name: "fax", SPF: []string{"fax.test"}, Zones: []string{"bl.test", "sum.test"}})
		senders.fails = true
		const why = "SPF records that may exempt this address cannot be evaluated"
		for _, tt := range []struct {
			name string
			typ  uint16
			ttl  uint32
		}{
			{"1.2.0.192.bl.test", dns.TypeA, staleTTL},
			{"1.2.0.192.bl.test", dns.TypeTXT, staleTTL},
			{"1.2.0.192.sum.test", dns.TypeA, staleTTL},
			{"1.2.0.192.sum.test", dns.TypeTXT, staleTTL},
			{"3.2.0.192.bl.test", dns.TypeA, 3600}, // beyond exemptions
		} {
			m := s.ask(tt.name, tt.typ)
			if len(m.Answer) == 0 || m.Answer[0].Header().Ttl != tt.ttl {
				t.Errorf("%s: %v, want a listing for %d s", tt.name, m, tt.ttl)
			}
			if _, text := ede(m); (text == why) != (tt.ttl == staleTTL) {
				t.Errorf("%s: extended error %q", tt.name, text)
			}
		}
		for _, zone := range []string{"bl.test", "sum.test"} {
			e := s.r.Explain(t.Context(), ip4("192.0.2.1"), zone)[0]
			if said := fmt.Sprint(e.Steps); !strings.Contains(said, why) || strings.Contains(said, "no SPF record passes") {
				t.Errorf("%s: steps %s", zone, said)
			}
		}
		senders.fails = false
		time.Sleep(30 * time.Second)
		for _, zone := range []string{"bl.test", "sum.test"} {
			if got := brief(s.ask("1.2.0.192."+zone, dns.TypeA)); got != "NXDOMAIN" {
				t.Errorf("%s, 30 s later: %s", zone, got)
			}
		}
		s.r.Close()
	})
}

// TestLive_tellsOnce: a sum that is weighed anew, because a term passes, is told
// as it is in the end.
func TestLive_tellsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeList{ttl: 3600, records: map[string][]string{"1.2.0.192.list.example A": {"127.0.0.10"}}}
		zones := []ZoneOptions{testZone("m.test", l), weighed(t, "sum.test", 1, map[string]int{"m.test": 1})}
		s := newSceneWith(t, overrides.Options{Resolver: &faxDNS{}}, zones,
			overrides.Rule{Name: "fax", SPF: []string{"fax.test"}, Zones: []string{"sum.test"}})
		e := s.r.Explain(t.Context(), ip4("192.0.2.1"), "sum.test")[0]
		said := fmt.Sprint(e.Steps)
		if e.Verdict != Exempt || strings.Count(said, "member m.test") != 1 || !strings.Contains(said, "evaluated for this address: spf fax.test passes") {
			t.Errorf("%v by %s", e.Verdict, said)
		}
		s.r.Close()
	})
}

// TestLive_vain: where no exemption could remove anything, the terms of no SPF
// record are evaluated: not for a list that trusts, and not for codes beyond
// exemptions. They would cost a sender who is refused anyhow 50 questions.
func TestLive_vain(t *testing.T) {
	l := &fakeList{ttl: 300, records: map[string][]string{
		"1.2.0.192.list.example A": {"127.0.0.2"}, "3.2.0.192.list.example A": {"127.0.0.2", "127.0.0.10"},
	}}
	zones := []ZoneOptions{
		testZone("trust.test", l), testZone("kept.test", l), testZone("m.test", l),
		weighed(t, "sum.test", 1, map[string]int{"m.test": 1}),
	}
	zones[0].Allow, zones[1].NoOverride, zones[3].Allow = true, codes(t, "127.0.0.2"), true
	senders := &faxDNS{}
	s := newSceneWith(t, overrides.Options{Resolver: senders}, zones,
		overrides.Rule{Name: "fax", SPF: []string{"fax.test"}, Zones: []string{"trust.test", "kept.test", "sum.test"}})
	senders.asked = nil // while the record was compiled
	for _, tt := range []struct{ name, want, asked string }{
		{"1.2.0.192.trust.test", "NOERROR 127.0.0.2", "[]"},
		{"3.2.0.192.trust.test", "NOERROR 127.0.0.2 127.0.0.10", "[]"},
		{"1.2.0.192.sum.test", "NOERROR 127.0.0.2", "[]"},
		{"1.2.0.192.kept.test", "NOERROR 127.0.0.2", "[]"},
		{"3.2.0.192.kept.test", "NOERROR 127.0.0.2", "[192.0.2.3]"},
	} {
		if got := brief(s.ask(tt.name, dns.TypeA)); got != tt.want || fmt.Sprint(senders.asked) != tt.asked {
			t.Errorf("%s: %s, want %s; DNS was asked about %v, want %s", tt.name, got, tt.want, senders.asked, tt.asked)
		}
	}
}

// TestCombined_live has a rule of the combined zone alone, whose SPF record
// can only be evaluated for one address at a time.
func TestCombined_live(t *testing.T) {
	l := &fakeList{ttl: 300, records: map[string][]string{
		"1.2.0.192.list.example A": {"127.0.0.10"},
		"2.2.0.192.list.example A": {"127.0.0.10"},
		"3.2.0.192.list.example A": {"127.0.0.2", "127.0.0.10"},
		"4.2.0.192.list.example A": {"127.0.0.11"},
		"6.2.0.192.list.example A": {"127.0.0.10"},
	}}
	member := testZone("m.test", l)
	member.NoOverride = codes(t, "127.0.0.2")
	own := testZone("own.test", nil)
	own.Source, own.List, own.Upstream = SourceDeny, nil, ""
	zones := []ZoneOptions{
		member, own,
		weighed(t, "inner.test", 2, map[string]int{"m.test": 2, "m.test=127.0.0.11": 1, "own.test": 2}),
		weighed(t, "sum.test", 2, map[string]int{"m.test": 2, "m.test=127.0.0.11": 1, "own.test": 2}),
		weighed(t, "outer.test", 1, map[string]int{"inner.test": 1}),
	}
	senders := &faxDNS{}
	s := newSceneWith(t, overrides.Options{Resolver: senders}, zones,
		overrides.Rule{Name: "fax", SPF: []string{"fax.test"}, Zones: []string{"sum.test", "outer.test"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.5"}, Zones: []string{"own.test"}},
		overrides.Rule{Name: "typed", CIDR: []string{"192.0.2.6"}, Zones: []string{"sum.test"}},
	)
	senders.asked = nil // while the record was compiled
	for _, tt := range []struct{ name, addr, want, asked string }{
		{"listed, and the record passes", "192.0.2.1", "NXDOMAIN", "192.0.2.1"},
		{"listed, and it does not", "192.0.2.2", "NOERROR 127.0.0.2", "192.0.2.2"},
		{"a code that no exemption removes", "192.0.2.3", "NOERROR 127.0.0.2", "192.0.2.3"},
		{"below the threshold", "192.0.2.4", "NXDOMAIN", ""},
		{"denied, which no live term beats", "192.0.2.5", "NOERROR 127.0.0.2", "192.0.2.5"},
		{"exempt anyhow", "192.0.2.6", "NXDOMAIN", ""},
		{"unlisted", "192.0.2.9", "NXDOMAIN", ""},
	} {
		for i, name := range []string{"sum.test", "outer.test"} {
			want, asked := tt.want, tt.asked
			if tt.addr == "192.0.2.6" && name == "outer.test" {
				asked = tt.addr // the typed rule is not for this zone
			}
			if i > 0 && asked == tt.asked {
				asked = "" // known by then
			}
			m := s.ask(reversed(tt.addr)+"."+name, dns.TypeA)
			if got := brief(m); got != want {
				t.Errorf("%s, %s: %s, want %s", tt.name, name, got, want)
			}
			if code, text := ede(m); tt.asked != "" && want == "NXDOMAIN" && (code != edeFiltered || text != "exempt: fax (spf fax.test)") {
				t.Errorf("%s, %s: extended error %d %q, want the rule", tt.name, name, code, text)
			}
			senders.mu.Lock()
			if got := strings.Join(senders.asked, " "); got != asked {
				t.Errorf("%s, %s: DNS was asked about %q, want %q", tt.name, name, got, asked)
			}
			senders.asked = nil
			senders.mu.Unlock()
		}
	}
	if got := brief(s.ask("1.2.0.192.inner.test", dns.TypeA)); got != "NOERROR 127.0.0.2" {
		t.Errorf("a zone that the rule does not name: %s", got)
	}
}

// reversed writes an IPv4 address as lists are asked for it.
func reversed(addr string) string {
	part := strings.Split(addr, ".")
	return part[3] + "." + part[2] + "." + part[1] + "." + part[0]
}
