package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
)

// TestReadAddresses reads lists and logs from standard input: what is no
// address in a list is told of, in a log it is the rule.
func TestReadAddresses(t *testing.T) {
	for _, tt := range []struct{ name, in, want, told string }{
		{"a list", "# ours\n192.0.2.1 # a\n\n192.0.2.1\n::ffff:192.0.2.2\n2001:db8::1\n", "[192.0.2.1 192.0.2.2 2001:db8::1]", ""},
		{"a list of Windows", "\ufeff192.0.2.1\r\n192.0.2.2\r\n", "[192.0.2.1 192.0.2.2]", ""},
		{"a list with other things", "192.0.2.1\nexample.com\n10.0.0.0/8\n", "[192.0.2.1]",
			"standard input: 2 lines hold no address and are left out, the first of them \"example.com\"\n"},
		{"a log", "Nov 20 00:00:01 mx postfix/smtpd[1]: connect from unknown[192.0.2.9]\n" +
			"Nov 20 00:00:01 mx postfix/qmgr[1]: 4F: removed\n" +
			"Nov 20 00:00:02 mx postfix/postscreen[2]: CONNECT from [2001:db8::7]:1234 to [192.0.2.1]:25\n", "[192.0.2.9 2001:db8::7]", ""},
		{"a log that a crash filled with zeros", strings.Repeat("\x00", 3<<20) + "Nov 20 00:00:01 mx postfix/smtpd[1]: connect from unknown[192.0.2.9]\n" +
			"Nov 20 00:00:02 mx postfix/smtpd[1]: connect from unknown[192.0.2.10]", "[192.0.2.9 192.0.2.10]", ""},
		{"a list with a long line", strings.Repeat("x", 1<<16) + "\n192.0.2.1\n", "[192.0.2.1]",
			"standard input: 1 lines hold no address and are left out, the first of them \"" + strings.Repeat("x", 80) + "\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told bytes.Buffer
			a := &app{in: strings.NewReader(tt.in), err: &told}
			addrs, err := a.readAddresses("-")
			if got := fmt.Sprint(addrs); err != nil || got != tt.want {
				t.Errorf("readAddresses = %s, %v, want %s", got, err, tt.want)
			}
			if told.String() != tt.told {
				t.Errorf("told %q, want %q", told.String(), tt.told)
			}
		})
	}
	a := &app{in: strings.NewReader("\x1f\x8b\x08\n")}
	const want = "standard input holds no address: write one a line, or hand in a Postfix log, a compressed one by way of zcat"
	if _, err := a.readAddresses("-"); err == nil || err.Error() != want {
		t.Errorf("of a list without an address: %v", err)
	}
}

// TestChanges: what another configuration changes for the mail server, and
// nothing else.
func TestChanges(t *testing.T) {
	const zone, code = "bl.example", "127.0.0.2"
	unlisted := admin.Answer{Zone: zone, Verdict: "unlisted"}
	listed := admin.Answer{Zone: zone, Verdict: "listed", Codes: []string{code}}
	watched := admin.Answer{Zone: zone, Verdict: "listed", Codes: []string{code}, Observe: true}
	denied := admin.Answer{Zone: zone, Verdict: "denied", Codes: []string{code}, Rule: "ours"}
	other := admin.Answer{Zone: zone, Verdict: "denied", Codes: []string{"127.0.0.9"}, Rule: "ours"}
	exempt := admin.Answer{Zone: zone, Verdict: "exempt", Rule: "fax"}
	spared := admin.Answer{Zone: zone, Verdict: "exempt", Rule: "fax", Observe: true}
	for _, tt := range []struct {
		name          string
		before, after []admin.Answer
		want          string // "" for no change
	}{
		{"the same", []admin.Answer{listed}, []admin.Answer{listed}, ""},
		{"another verdict", []admin.Answer{exempt}, []admin.Answer{listed}, "exempt -> listed rule fax -> 127.0.0.2"},
		{"another code", []admin.Answer{denied}, []admin.Answer{other}, "denied -> denied 127.0.0.2 rule ours -> 127.0.0.9 rule ours"},
		{"observed no longer", []admin.Answer{watched}, []admin.Answer{listed}, "listed (observe) -> listed 127.0.0.2"},
		{"only observed now", []admin.Answer{listed}, []admin.Answer{watched}, "listed -> listed (observe) 127.0.0.2"},
		{"observed, and exempt all the same", []admin.Answer{spared}, []admin.Answer{exempt}, ""},
		{"a zone that goes", []admin.Answer{unlisted}, nil, "unlisted -> not served"},
		{"a zone that comes", nil, []admin.Answer{denied}, "not served -> denied 127.0.0.2 rule ours"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
			for _, r := range changes("192.0.2.1", tt.before, tt.after) {
				r.print(w)
			}
			w.Flush()
			want := "192.0.2.1 " + zone + " " + tt.want + "\n"
			if tt.want == "" {
				want = ""
			}
			if got := strings.ReplaceAll(b.String(), " \n", "\n"); got != want {
				t.Errorf("changes = %q, want %q", got, want)
			}
		})
	}
}

// TestPrintChanges: a list that could not be asked is not counted as a change
// of the configuration, a rule that comes or goes is.
func TestPrintChanges(t *testing.T) {
	var rows []fileRow
	for _, verdicts := range [][2]string{{"failed", "listed"}, {"exempt", "failed"}, {"unlisted", "failed"}, {"failed", "denied"}, {"failed", "not served"}} {
		rows = append(rows, changed("192.0.2.1", admin.Answer{Zone: "bl.example", Verdict: verdicts[0]}, admin.Answer{Verdict: verdicts[1]}))
	}
	const want = `9 addresses, 3 decisions would change
192.0.2.1 bl.example exempt -> failed
192.0.2.1 bl.example failed -> denied
192.0.2.1 bl.example failed -> not served
2 more differ, but one of the two could not ask the list:
192.0.2.1 bl.example failed -> listed
192.0.2.1 bl.example unlisted -> failed
`
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	if err := printChanges(w, 9, func(yield func([]fileRow, error) bool) { yield(rows, nil) }); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	if got := regexp.MustCompile(` +\n`).ReplaceAllString(b.String(), "\n"); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}

// TestLookupAnswer_print: what a list says forges no line of ours, and does
// nothing to the terminal.
func TestLookupAnswer_print(t *testing.T) {
	for text, want := range map[string]string{
		`see "https://bl.example/?ip=192.0.2.1", ü`: `see "https://bl.example/?ip=192.0.2.1", ü`,
		"\x1b[2J":                    `"\x1b[2J"`,
		"bad\nzen.example: unlisted": `"bad\nzen.example: unlisted"`,
		"\u202ebad":                  `"\u202ebad"`,
		"\x9b2J":                     `"\x9b2J"`,
	} {
		var b strings.Builder
		printAnswer(&b, &admin.Answer{Zone: "bl.example", Verdict: "listed", Text: text})
		if want = "bl.example: listed  [0.0 ms]\n    text: " + want + "\n"; b.String() != want {
			t.Errorf("%q is printed as\n%swant\n%s", text, b.String(), want)
		}
	}
}

func TestTypedSubject(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:DB8::1": "2001:db8::1", "Mail.Example.com.": "mail.example.com",
		"::ffff:192.0.2.1": "192.0.2.1", "::FFFF:7F00:2": "::ffff:127.0.0.2", // the one is in logs, the other tests a list
		"_dmarc.example.com": "_dmarc.example.com", "Bücher.example": "xn--bcher-kva.example",
		"192.0.2.0/24": "", "192.0.2.1:25": "", "[192.0.2.1]": "", "http://example.com/": "", "a@example.com": "", "": "",
		"1.2.0.192.bl.example": "", "mail.example.com.bl.example.": "", "bl.example": "bl.example", "ebl.example": "ebl.example",
	} {
		s, err := typedSubject(in, []*config.Zone{{Name: "bl.example"}})
		if got := s.String(); (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("typedSubject(%q) = %s, %v, want %q", in, got, err, want)
		}
	}
}

// TestOwnBudget: a file of addresses costs a list no more than its budget,
// where no server counts.
func TestOwnBudget(t *testing.T) {
	var asked atomic.Int32
	via := fakeList(t, func(question []byte) []byte {
		asked.Add(1)
		return unlisted(question)
	})
	c, err := parsed(t, rereadConfig+`[zone."bl.example"]
holds = ["ip4"]
via = ["`+via+`"]
budget = 2
`)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{err: io.Discard, lists: rbl.Builtin()}
	decide, end, err := a.own(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for i, want := range []string{"unlisted", "unlisted", "failed"} {
		answers, err := decide(t.Context(), rbl.AddrSubject(netip.AddrFrom4([4]byte{192, 0, byte(i), 1})))
		if err != nil {
			t.Fatal(err)
		}
		if got := answers[len(answers)-1].Verdict; got != want {
			t.Errorf("address %d is %s, want %s", i, got, want)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the list was asked %d times, want 2", n)
	}
}

// TestCompare_ahead: of a log with more addresses than there is memory for, the
// rows of few are kept at a time, and come in the order of the log.
func TestCompare_ahead(t *testing.T) {
	addrs := make([]netip.Addr, 5*lookupsAhead/2)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	}
	var decided atomic.Int32
	decide := func(context.Context, rbl.Subject) ([]admin.Answer, error) {
		decided.Add(1)
		return []admin.Answer{{Zone: "a.example"}, {Zone: "b.example"}}, nil
	}
	printed := 0
	for rows, err := range compare(t.Context(), addrs, decide, nil) {
		if ahead := int(decided.Load()) - printed/2; err != nil || ahead > lookupsAhead {
			t.Fatalf("at row %d, %d addresses are decided about and not printed; %v", printed, ahead, err)
		}
		for _, r := range rows {
			if want := addrs[printed/2].String(); r.Address != want {
				t.Fatalf("row %d is of %s, want %s", printed, r.Address, want)
			}
			printed++
		}
	}
	if printed != 2*len(addrs) {
		t.Errorf("%d rows, want %d", printed, 2*len(addrs))
	}
}

// TestPrintList: what is printed piece by piece looks as if it were not, and
// an error leaves no whole list behind.
func TestPrintList(t *testing.T) {
	rows := []fileRow{changed("192.0.2.1", admin.Answer{Text: "<b>"}, admin.Answer{}), {Address: "192.0.2.2"}, {Address: "192.0.2.3"}}
	for n := range len(rows) + 1 {
		for _, failure := range []error{nil, errNoServer} {
			var whole, pieces bytes.Buffer
			if err := (&app{out: &whole}).printJSON(rows[:n]); err != nil {
				t.Fatal(err)
			}
			err := printList(&app{out: &pieces}, func(yield func([]fileRow, error) bool) {
				for some := range slices.Chunk(rows[:n], 2) {
					yield(some, nil)
				}
				if failure != nil {
					yield(nil, failure)
				}
			})
			switch {
			case !errors.Is(err, failure):
				t.Errorf("of %d rows: %v, want %v", n, err, failure)
			case failure != nil && json.Valid(pieces.Bytes()):
				t.Errorf("of %d rows and an error a whole list is printed: %s", n, &pieces)
			case failure == nil && pieces.String() != whole.String():
				t.Errorf("of %d rows:\n%swant\n%s", n, &pieces, &whole)
			}
		}
	}
}
