package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// TestExplain_agrees asks for the steps of the questions of a mail server:
// what they say is what was answered.
func TestExplain_agrees(t *testing.T) {
	l := spamhaus()
	l.records["4.2.0.192.list.example A"] = []string{"127.0.0.2"}
	l.records["2.2.0.192.list.example A"] = []string{"127.0.0.10"}
	z := testZone("bl.test", l)
	z.CodeName = func(rbl.Code) string { return "PBL" }
	z.Listed, z.NoOverride = codes(t, "127.0.0.2-127.0.0.11"), codes(t, "127.0.0.2")
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2", "192.0.2.4"}})
	for addr, want := range map[string]struct {
		verdict Verdict
		step    string
	}{
		"192.0.2.1": {Listed, "the list has it: 127.0.0.10 (PBL)"},
		"192.0.2.2": {Exempt, "exempt by office (cidr)"},
		"192.0.2.9": {Unlisted, "the list does not have it"},
		"192.0.2.3": {Unlisted, "the list answers 127.0.1.255 (PBL), which is no listing"},
		"192.0.2.4": {Listed, "office (cidr) exempts it, but no_override puts the codes beyond exemptions"},
	} {
		sub, err := rbl.ParseSubject(addr)
		if err != nil {
			t.Fatal(err)
		}
		got := s.r.Explain(t.Context(), sub)
		if len(got) != 1 || got[0].Verdict != want.verdict {
			t.Fatalf("Explain(%s) = %+v, want %s", addr, got, want.verdict)
		}
		if last := got[0].Steps[len(got[0].Steps)-1].What; last != want.step {
			t.Errorf("Explain(%s): last step %q, want %q", addr, last, want.step)
		}
	}
}

// TestExplain_steps holds the number and the words of each way to an answer
// against the order of decisions.
func TestExplain_steps(t *testing.T) {
	zone := func(name string, change func(*ZoneOptions)) ZoneOptions {
		z := testZone(name, spamhaus())
		change(&z)
		return z
	}
	dead := &fakeList{err: upstream.ErrTimeout}
	s := newScene(t, []ZoneOptions{
		zone("plain.test", func(*ZoneOptions) {}),
		zone("kept.test", func(z *ZoneOptions) { z.NoOverride = codes(t, "127.0.0.2") }),
		zone("off.test", func(z *ZoneOptions) { z.Mode = Off }),
		zone("six.test", func(z *ZoneOptions) { z.Holds = rbl.HoldsIP6 }),
		zone("watched.test", func(z *ZoneOptions) { z.Mode = Observe }),
		zone("deny.test", func(z *ZoneOptions) { z.Source, z.List = SourceDeny, nil }),
		zone("allow.test", func(z *ZoneOptions) { z.Source, z.List, z.Allow = SourceAllow, nil, true }),
		zone("dead.test", func(z *ZoneOptions) { z.List, z.NoOverride = dead, codes(t, "127.0.0.2") }),
		zone("strict.test", func(z *ZoneOptions) { z.List, z.ServfailOnFailure = dead, true }),
	},
		overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2", "192.0.2.9"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.7"}, Zones: []string{"deny.test"}})
	for ask, want := range map[string]string{
		"plain.test 192.0.2.1":   "listed: 7 the list has it: 127.0.0.10",
		"plain.test 192.0.2.2":   "exempt: 5 exempt by office (cidr)",
		"plain.test 127.0.0.2":   "listed: 4 a test entry: the list's own answer",
		"kept.test 192.0.2.2":    "listed: 7 the list has it: 127.0.0.2, 127.0.0.10; 7 office (cidr) removes what it may; the rest is beyond exemptions",
		"kept.test 192.0.2.9":    "exempt: 7 the list does not have it; 7 exempt by office (cidr)",
		"off.test 192.0.2.1":     "unlisted: 3 the zone is off",
		"six.test 192.0.2.1":     "unlisted: 0 the list holds no such names: ip4",
		"watched.test 192.0.2.1": "listed: 7 the list has it: 127.0.0.10; 0 the zone only observes: decided listed, answered unlisted",
		"deny.test 192.0.2.7":    "denied: 6 denied by own (cidr)",
		"deny.test 192.0.2.8":    "unlisted: 7 no deny rule matches",
		"deny.test 127.0.0.2":    "listed: 4 a test entry that every list has",
		"deny.test 127.0.0.1":    "unlisted: 4 a test entry that no list has",
		"allow.test 192.0.2.2":   "listed: 7 allowed by office (cidr)",
		"allow.test 192.0.2.8":   "unlisted: 7 no allow rule matches",
		"dead.test 192.0.2.2":    "exempt: 8 the list cannot be asked (no answer in time); exempt by office",
		"dead.test 192.0.2.8":    "failed: 8 the list cannot be asked (no answer in time): unlisted",
		"strict.test 192.0.2.8":  "failed: 8 the list cannot be asked (no answer in time): SERVFAIL",
	} {
		name, addr, _ := strings.Cut(ask, " ")
		e := s.r.Explain(t.Context(), ip4(addr), name)[0]
		var steps []string
		for _, step := range e.Steps {
			steps = append(steps, fmt.Sprint(step.Number, " ", step.What))
		}
		if got := e.Verdict.String() + ": " + strings.Join(steps, "; "); got != want {
			t.Errorf("%s: %s, want %s", ask, got, want)
		}
	}
}

// TestExplain_observe wants what a zone that only observes would have said.
func TestExplain_observe(t *testing.T) {
	z := testZone("bl.test", spamhaus())
	z.Mode = Observe
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.7"},
		Zones: []string{"bl.test"}, Code: netip.MustParseAddr("127.0.0.9"), Text: "not here"})
	for addr, want := range map[string]string{
		"192.0.2.1": "listed [127.0.0.10] see list.example for 192.0.2.1",
		"192.0.2.7": "denied [127.0.0.9] not here",
		"192.0.2.9": "unlisted [] ",
	} {
		e := s.r.Explain(t.Context(), ip4(addr))[0]
		if got := fmt.Sprintf("%s %v %s", e.Verdict, e.Codes, e.Text); got != want {
			t.Errorf("Explain(%s) = %s, want %s", addr, got, want)
		}
		if e.Observe != (e.Verdict != Unlisted) {
			t.Errorf("Explain(%s): observe %t", addr, e.Observe)
		}
	}
}

// TestExplain_texts: a list may give a reason for each of its codes.
func TestExplain_texts(t *testing.T) {
	l := spamhaus()
	l.records["2.2.0.192.list.example TXT"] = []string{"https://list.example/sbl/1", "https://list.example/ip/192.0.2.2"}
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	want := "https://list.example/sbl/1; https://list.example/ip/192.0.2.2"
	if got := s.r.Explain(t.Context(), ip4("192.0.2.2"))[0].Text; got != want {
		t.Errorf("Explain has the text %q, want %q", got, want)
	}
}
