package resolver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

func ip4(text string) rbl.Subject {
	s, err := rbl.ParseSubject(text)
	if err != nil {
		panic(err)
	}
	return s
}

func TestTotals(t *testing.T) {
	z := testZone("bl.test", spamhaus())
	z.Verify = true
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.66"}, Zones: []string{"bl.test"}})
	s.list.set(func() { s.list.records["2.2.0.192.list.example A"] = []string{"127.0.0.4"} })
	ask := func(names ...string) {
		for _, n := range names {
			s.ask(n+".2.0.192.bl.test", dns.TypeA)
		}
		s.r.flights.wg.Wait() // verify is done in the background
	}
	ask("1", "1", "8", "2", "66")
	ask("2")
	s.ask("1.2.0.192.bl.test", dns.TypeTXT) // no other listing
	s.ask("2.2.0.192.bl.test", dns.TypeTXT) // nor another exemption of one
	s.r.flights.wg.Wait()
	s.ask("2.0.0.127.bl.test", dns.TypeA) // somebody tests the list
	if got, want := s.r.Totals(), (Totals{Zone: "bl.test", Questions: 9, Listings: 5, Exempted: 2}); len(got) != 1 || got[0] != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
	s.list.set(func() { s.list.err = &upstream.CodeError{Name: "blocked"} })
	ask("77")
	if got := s.r.Totals()[0].Errors; got != 1 {
		t.Errorf("after an error of the list: %d errors, want 1", got)
	}
}

// TestTotals_members: what is asked of a list as a member of a combined zone
// counts for the list too, also where nobody asks it by itself.
func TestTotals_members(t *testing.T) {
	has, none := spamhaus(), spamhaus()
	none.records = nil
	office := overrides.Rule{Name: "office", CIDR: []string{"192.0.2.3"}, Zones: []string{"has.test"}}
	s := newScene(t, []ZoneOptions{
		testZone("has.test", has), testZone("none.test", none),
		weighed(t, "score.test", 1, map[string]int{"has.test": 1, "none.test": 1}),
	}, office)
	var mu sync.Mutex
	var told []string
	s.r.log.lists = func(zone, subject string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, zone+" "+subject)
	}
	for _, name := range []string{"1", "1", "3", "9", "77"} {
		s.ask(name+".2.0.192.score.test", dns.TypeA)
		s.r.flights.wg.Wait()
	}
	s.ask("1.2.0.192.score.test", dns.TypeTXT)
	for i, want := range []Totals{
		{Zone: "has.test", Questions: 6, Listings: 2}, {Zone: "none.test", Questions: 5}, {Zone: "score.test", Questions: 6, Listings: 2},
	} {
		got := s.r.Totals()[i]
		if got != want && !(i == 1 && got.Questions == 6) { // the first is known from one list, or from both
			t.Errorf("Totals = %+v, want %+v", got, want)
		}
	}
	s.ask("1.2.0.192.has.test", dns.TypeA)
	slices.Sort(told)
	if want := []string{"has.test 192.0.2.1", "score.test 192.0.2.1"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// TestTotals_membersVerified: nor does it hide what exemptions save.
func TestTotals_membersVerified(t *testing.T) {
	z := testZone("has.test", spamhaus())
	z.Verify = true
	office := overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/28"}}
	s := newScene(t, []ZoneOptions{z, weighed(t, "score.test", 1, map[string]int{"has.test": 1})}, office)
	for _, name := range []string{"1", "1", "9"} {
		if got := brief(s.ask(name+".2.0.192.score.test", dns.TypeA)); got != "NXDOMAIN" {
			t.Errorf("%s is %s", name, got)
		}
		s.r.flights.wg.Wait() // verify is done in the background
	}
	if got, want := s.r.Totals()[0], (Totals{Zone: "has.test", Questions: 3, Listings: 2, Exempted: 2}); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
}

// TestTotals_textAlone: SpamAssassin asks some lists for the text and never for
// the address. Those are the listings then.
func TestTotals_textAlone(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	for _, name := range []string{"1.2.0.192", "1.2.0.192", "8.2.0.192", "77.2.0.192", "2.0.0.127"} {
		s.ask(name+".bl.test", dns.TypeTXT)
	}
	if got, want := s.r.Totals()[0], (Totals{Zone: "bl.test", Questions: 5, Listings: 2}); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
	for range 4 { // a mail server asks for it, too: no more than it asks for
		s.ask("1.2.0.192.bl.test", dns.TypeA)
		s.ask("1.2.0.192.bl.test", dns.TypeTXT)
	}
	if got := s.r.Totals()[0].Listings; got != 6 {
		t.Errorf("with texts for every address: %d listings, want 6", got)
	}
}

// TestTotals_textSaved: nor does who asks for texts alone hide what exemptions
// save. A question more about what was just asked for is not another one.
func TestTotals_textSaved(t *testing.T) {
	verified, fixed := testZone("verified.test", spamhaus()), testZone("fixed.test", spamhaus())
	verified.Verify, fixed.NoOverride = true, codes(t, "127.0.0.9")
	s := newScene(t, []ZoneOptions{verified, fixed}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.1"}})
	for _, typ := range []uint16{dns.TypeTXT, dns.TypeAAAA, dns.TypeTXT} {
		s.ask("1.2.0.192.verified.test", typ)
		s.ask("1.2.0.192.fixed.test", typ)
		s.r.flights.wg.Wait() // verify is done in the background
	}
	for _, got := range s.r.Totals() {
		if want := (Totals{Zone: got.Zone, Questions: 3, Listings: 1, Exempted: 1}); got != want {
			t.Errorf("Totals = %+v, want %+v", got, want)
		}
	}
}

// TestTotals_savedFromFile: what an exemption takes from data that the proxy
// serves itself needs no question.
func TestTotals_savedFromFile(t *testing.T) {
	s := newScene(t, []ZoneOptions{fileZone(t, "file.test", "192.0.2.1\n")}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/30"}})
	for _, name := range []string{"1.2.0.192.file.test", "1.2.0.192.file.test", "2.2.0.192.file.test"} {
		s.ask(name, dns.TypeA)
	}
	if got, want := s.r.Totals()[0], (Totals{Zone: "file.test", Questions: 3, Listings: 2, Exempted: 2}); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
}

// TestStats_savedOnce: what a list has with several codes is one thing that an
// exemption saves, by the least of them, in whatever order they come.
func TestStats_savedOnce(t *testing.T) {
	z := testZone("bl.test", spamhaus())
	z.Verify = true
	z.CodeName = func(c rbl.Code) string { return map[string]string{"127.0.0.4": "XBL", "127.0.0.10": "PBL"}[c.String()] }
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.0/24"}})
	s.list.set(func() {
		s.list.records["3.2.0.192.list.example A"] = []string{"127.0.0.10", "127.0.0.4"}
		s.list.records["4.2.0.192.list.example A"] = []string{"127.0.0.4", "127.0.0.10"}
	})
	for _, name := range []string{"3.2.0.192.bl.test", "4.2.0.192.bl.test"} {
		s.ask(name, dns.TypeA)
		s.r.flights.wg.Wait() // verify is done in the background
	}
	want := `
# HELP dnsblproxy_exempted_listings_total Exemptions of what the list did list, by the least of its codes: mail saved.
# TYPE dnsblproxy_exempted_listings_total counter
dnsblproxy_exempted_listings_total{code="XBL",rule="office",zone="bl.test"} 2
`
	if err := testutil.CollectAndCompare(s.r.stats, strings.NewReader(want), "dnsblproxy_exempted_listings_total"); err != nil {
		t.Error(err)
	}
}

// TestDecisionLog_text: a listing that is asked for its text alone is told with
// its codes, whether the text is to be had or not.
func TestDecisionLog_text(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	s.list.set(func() {
		s.list.records["3.2.0.192.list.example A"] = []string{"127.0.0.2", "127.0.0.4"}
		s.list.records["3.2.0.192.list.example TXT"] = []string{"twice"}
		s.list.records["4.2.0.192.list.example A"] = []string{"127.0.0.4"}
	})
	s.ask("3.2.0.192.bl.test", dns.TypeTXT)
	s.ask("4.2.0.192.bl.test", dns.TypeTXT)
	var got []string
	for _, d := range s.told {
		got = append(got, d.Subject+" "+strings.Join(d.Codes, " "))
	}
	if want := []string{"192.0.2.3 127.0.0.2 127.0.0.4", "192.0.2.4 127.0.0.4"}; !slices.Equal(got, want) {
		t.Errorf("told of %q, want %q", got, want)
	}
}

// TestDecisionLog_keys: who searches the log for an address, a domain, a zone, a
// rule or a source finds it under that name.
func TestDecisionLog_keys(t *testing.T) {
	var log bytes.Buffer
	l := &decisionLog{log: slog.New(slog.NewJSONHandler(&log, nil)), seed: maphash.MakeSeed()}
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())}, overrides.Rule{
		Name: "office", CIDR: []string{"192.0.2.3", "2001:db8::3"}, Domains: []string{".example.com"},
	})
	s.list.set(func() { s.list.err = upstream.ErrTimeout })
	s.ask("3.2.0.192.bl.test", dns.TypeA)
	s.ask(rbl.Subject{Shape: rbl.IP6, Addr: netip.MustParseAddr("2001:db8::3")}.Name("bl.test"), dns.TypeA)
	s.ask("mail.example.com.bl.test", dns.TypeA)
	s.ask("bl.test", dns.TypeA)
	var got []string
	for i := range s.told {
		log.Reset()
		l.write(&s.told[i])
		var keys struct{ Zone, Address, Domain, Verdict, Rule, Source string }
		if err := json.Unmarshal(log.Bytes(), &keys); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%+v", keys))
	}
	want := []string{
		"{Zone:bl.test Address:192.0.2.3 Domain: Verdict:exempt Rule:office Source:cidr}",
		"{Zone:bl.test Address:2001:db8::3 Domain: Verdict:exempt Rule:office Source:cidr}",
		"{Zone:bl.test Address: Domain:mail.example.com Verdict:exempt Rule:office Source:domains}",
		"{Zone:bl.test Address: Domain:bl.test Verdict:failed Rule: Source:}",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDecisionLog_codes: a list that answers with thousands of codes does not fill
// the log and the memory of the last decisions with them.
func TestDecisionLog_codes(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	var many []string
	for i := range 4000 {
		many = append(many, fmt.Sprintf("127.0.%d.%d", 1+i/250, 2+i%250))
	}
	s.list.set(func() { s.list.records["3.2.0.192.list.example A"] = many })
	s.ask("3.2.0.192.bl.test", dns.TypeA)
	if len(s.told) != 1 || len(s.told[0].Codes) != maxCodes || s.told[0].Codes[0] != many[0] {
		t.Errorf("told of %d decisions, the first with %d codes, want one with the first %d", len(s.told), len(s.told[0].Codes), maxCodes)
	}
}

// TestFault counts what a list answered our own questions, by name, so that an
// alert can tell why it is unreachable.
func TestFault(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	s.r.Fault("bl.test", &upstream.CodeError{Name: "blocked"})
	s.r.Fault("bl.test", upstream.ErrTimeout) // no answer is no answer to distrust
	s.r.Fault("gone.test", &upstream.CodeError{Name: "blocked"})
	if got := gathered(t, s, "dnsblproxy_list_errors_total"); got != 1 {
		t.Errorf("%v errors are counted, want 1", got)
	}
}

// TestListing asks two zones for the same address, then what is known of it.
func TestListing(t *testing.T) {
	one, two := spamhaus(), spamhaus()
	two.records = map[string][]string{}
	allow := testZone("wl.test", spamhaus())
	allow.Allow = true
	s := newScene(t, []ZoneOptions{testZone("one.test", one), testZone("two.test", two), allow})
	if got := s.r.Listing(ip4("192.0.2.1")); got != nil {
		t.Errorf("before anybody asked: %v", got)
	}
	for _, zone := range []string{"one.test", "two.test", "wl.test"} {
		s.ask("1.2.0.192."+zone, dns.TypeA)
	}
	asked := one.questions() + two.questions()
	if got := s.r.Listing(ip4("192.0.2.1")); !slices.Equal(got, []string{"one.test"}) {
		t.Errorf("Listing = %v, want one.test alone", got)
	}
	if one.questions()+two.questions() != asked {
		t.Error("Listing asked a list")
	}
}

// TestOnListing wants each listing told once, whatever the rate.
func TestOnListing(t *testing.T) {
	l := spamhaus()
	rules, err := overrides.Open(nil, overrides.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	told := map[string]int{}
	r, err := New(Options{Rules: rules, CacheSize: 4 << 20, OnListing: func(zone, subject string) {
		mu.Lock()
		defer mu.Unlock()
		told[zone+" "+subject]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := &scene{t: t, r: r, rules: rules, list: l}
	s.configure([]ZoneOptions{testZone("bl.test", l)})
	const n = 3 * logPerSecond
	for range 2 {
		for i := range n {
			a := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
			name := rbl.Subject{Shape: rbl.IP4, Addr: a}.Name("list.example")
			l.set(func() { l.records[name+" A"] = []string{"127.0.0.2"} })
			s.ask(rbl.Subject{Shape: rbl.IP4, Addr: a}.Name("bl.test"), dns.TypeA)
		}
	}
	// Two subjects in one slot of what was told may push each other out.
	if len(told) < n-5 || told["bl.test 192.0.1.1"] != 1 {
		t.Errorf("told of %d listings of %d; of 192.0.1.1 %d times", len(told), n, told["bl.test 192.0.1.1"])
	}
}

// TestListAnswers wants the list's own word about an exempt address.
func TestListAnswers(t *testing.T) {
	z := testZone("bl.test", spamhaus())
	z.Mode = Observe
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.1"}})
	if e := s.r.Explain(t.Context(), ip4("192.0.2.1")); e[0].Verdict != Exempt {
		t.Fatalf("Explain = %v, want exempt", e[0].Verdict)
	}
	e := s.r.ListAnswers(t.Context(), ip4("192.0.2.1"), "bl.test")
	if len(e) != 1 || e[0].Verdict != Listed || len(e[0].Codes) != 1 || e[0].Rule != "" || e[0].Text == "" {
		t.Errorf("ListAnswers = %+v, want a listing with a text and without a rule", e)
	}
	if e := s.r.ListAnswers(t.Context(), ip4("192.0.2.8")); e[0].Verdict != Unlisted {
		t.Errorf("ListAnswers of another address = %v, want unlisted", e[0].Verdict)
	}
}

// TestListAnswers_failing: that a list cannot be asked is not that it has
// nothing, or one's own address would be delisted with every failure of DNS. An
// answer past its TTL is an answer; a list that is off is not asked, nor one
// that holds other things. A code beyond exemptions is a listing like any other.
func TestListAnswers_failing(t *testing.T) {
	l := spamhaus()
	off := testZone("off.test", l)
	off.Mode = Off
	fixed, six := testZone("fixed.test", &fakeList{all: "127.0.0.2", ttl: 300}), testZone("six.test", l)
	fixed.NoOverride, six.Holds = codes(t, "127.0.0.2"), rbl.HoldsIP6
	s := newScene(t, []ZoneOptions{testZone("bl.test", l), off, fixed, six})
	says := func(addr, zone string, want Verdict, stale bool) {
		t.Helper()
		e := s.r.ListAnswers(t.Context(), ip4(addr), zone)[0]
		if e.Verdict != want || (e.Reason != "") != (stale || want == Failed) {
			t.Errorf("ListAnswers of %s in %s = %v for the reason %q, want %v", addr, zone, e.Verdict, e.Reason, want)
		}
	}
	says("192.0.2.1", "off.test", Unlisted, false)
	if l.questions() > 0 {
		t.Errorf("a list that is off was asked %q", l.asked)
	}
	says("192.0.2.1", "bl.test", Listed, false)
	says("192.0.2.8", "bl.test", Unlisted, false)
	says("192.0.2.5", "fixed.test", Listed, false)
	says("192.0.2.1", "six.test", Unlisted, false)
	l.set(func() { l.err = upstream.ErrTimeout })
	says("192.0.2.2", "bl.test", Failed, false)
	s.r.clock.mono.Add(301)
	says("192.0.2.1", "bl.test", Listed, true)
	says("192.0.2.8", "bl.test", Unlisted, true)
}

// TestDurations counts each of few answers, and of many as many as there were.
func TestDurations(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}})
	pkt, err := new(dns.Msg).SetQuestion("2.2.0.192.bl.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	sc := NewScratch(0)
	for n := 1; n <= 10*sampleEvery; n++ {
		if _, done := s.r.Respond(sc, pkt, testClient, false); !done {
			t.Fatal("not answered at once")
		}
		if got := gathered(t, s, "dnsblproxy_query_duration_seconds"); (n <= sampleEvery || n%sampleEvery == 0) && got != float64(n) {
			t.Fatalf("%v durations after %d answers", got, n)
		}
	}
}

// TestStats_tookNothing counts how long a list took for what it was asked, and
// not for what the budget did not allow.
func TestStats_tookNothing(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	s.list.set(func() { s.list.err = upstream.ErrBudget })
	s.ask("8.2.0.192.bl.test", dns.TypeA)
	if asked, took := gathered(t, s, "dnsblproxy_upstream_queries_total"), gathered(t, s, "dnsblproxy_upstream_duration_seconds"); asked != 2 || took != 1 {
		t.Errorf("%v outcomes and %v durations, want 2 and 1", asked, took)
	}
}

// TestStats_refused counts every question that is answered and not decided about,
// whatever is wrong with it.
func TestStats_refused(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	for want, change := range map[int]func(*dns.Msg){
		dns.RcodeFormatError:    func(m *dns.Msg) { m.Question = nil },
		dns.RcodeNotImplemented: func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
		dns.RcodeBadVers:        func(m *dns.Msg) { m.SetEdns0(1232, false).IsEdns0().SetVersion(1) },
		dns.RcodeRefused:        func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
	} {
		m := new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA)
		change(m)
		if got := s.exchange(m, false).Rcode; got != want {
			t.Errorf("response code %d, want %d", got, want)
		}
	}
	if got := gathered(t, s, "dnsblproxy_queries_total"); got != 4 {
		t.Errorf("%v questions are counted, want 4", got)
	}
}

// TestStats_requests: what was found in no cache is no hit.
func TestStats_requests(t *testing.T) {
	l := spamhaus()
	z := testZone("bl.test", l)
	z.Holds = rbl.HoldsIP4
	s := newScene(t, []ZoneOptions{z})
	for _, name := range []string{"1.2.0.192", "1.2.0.192", "2.0.192", "mail.example", "9.2.0.192"} {
		if name == "9.2.0.192" {
			l.set(func() { l.open = "no answer since noon" })
		}
		s.ask(name+".bl.test", dns.TypeA)
	}
	if got := gathered(t, s, "dnsblproxy_cache_requests_total"); got != 2 {
		t.Errorf("%v questions were answered out of the cache or by the list, want 2", got)
	}
}
