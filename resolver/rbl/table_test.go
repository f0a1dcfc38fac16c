package rbl

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// members calls f for every code of a set as the table spells them.
func members(set CodeSet, f func(Code)) {
	for _, term := range set.terms {
		if term.octets == nil {
			for c := term.first; c <= term.last; c++ {
				f(c)
			}
			continue
		}
		for b := range 1 << 16 {
			if !term.octets[1].has(byte(b>>8)) || !term.octets[2].has(byte(b)) {
				continue
			}
			for last := range 256 {
				if term.octets[3].has(byte(last)) {
					f(0x7f000000 | Code(b)<<8 | Code(last))
				}
			}
		}
	}
}

func TestBuiltin_rows(t *testing.T) {
	living, dead, keyed := 0, 0, 0
	for _, l := range Builtin().All() {
		if l.Dead != nil {
			dead++
			if l.Dead.Reason == "" || l.Dead.Since == "" {
				t.Errorf("%s: dead without a date or a reason", l.Zone)
			}
			continue
		}
		living++
		keyed += len(l.Keyed)
		if !strings.HasPrefix(l.Docs, "http") {
			t.Errorf("%s: docs = %q, want an address", l.Zone, l.Docs)
		}
		if len(l.Listed.Strings()) == 0 || l.Holds == 0 {
			t.Errorf("%s: listed or holds is empty", l.Zone)
		}
		for c := range l.Errors {
			if l.Listed.Contains(c) {
				t.Errorf("%s: %v is an error and a listing", l.Zone, c)
			}
			if _, help, ok := ErrorName(l, c); !ok || !strings.Contains(help, ":") {
				t.Errorf("%s: the help for %v does not say what to do: %q", l.Zone, c, help)
			}
		}
		for _, c := range []Code{0x7fffffff, 0x7ffffffe, 0x7ffffffc, 0x08080808} {
			if l.Listed.Contains(c) {
				t.Errorf("%s: %v is a listing", l.Zone, c)
			}
		}
	}
	if living < 25 || dead < 12 || keyed < 9 {
		t.Errorf("%d living lists, %d dead, %d keyed forms; want at least 25, 12, 9", living, dead, keyed)
	}
}

// The names under codes belong to listings, those under neutral do not.
func TestBuiltin_names_agree_with_listed(t *testing.T) {
	var f file
	if _, err := toml.Decode(string(builtin), &f); err != nil {
		t.Fatal(err)
	}
	table := Builtin()
	check := func(zone string, names map[string]string, want bool) {
		l, _ := table.Find(zone)
		for key, name := range names {
			set, err := ParseCodeSet([]string{key})
			if err != nil {
				t.Fatal(err)
			}
			members(set, func(c Code) {
				if l.Listed.Contains(c) != want {
					t.Errorf("%s: %v (%s) is a listing: %t, want %t", zone, c, name, !want, want)
				}
				if !strings.Contains(l.CodeName(c), name) {
					t.Errorf("%s: CodeName(%v) = %q, want %q in it", zone, c, l.CodeName(c), name)
				}
			})
		}
	}
	for zone, r := range f.List {
		check(zone, r.Codes, true)
		check(zone, r.Neutral, false)
	}
}

func TestTable_Find(t *testing.T) {
	tests := []struct {
		name     string
		upstream string
		want     string // zone of the row, "" for none
		key      string
	}{
		{"plain", "zen.spamhaus.org", "zen.spamhaus.org", ""},
		{"case and trailing dot", "Zen.Spamhaus.ORG.", "zen.spamhaus.org", ""},
		{"with a key", "abcdefghij.zen.dq.spamhaus.net", "zen.spamhaus.org", "abcdefghij"},
		{"keyed form without a key", "zen.dq.spamhaus.net", "zen.spamhaus.org", ""},
		{"known with a key only", "k.combined.mail.abusix.zone", "combined.mail.abusix.zone", "k"},
		{"two labels are no key", "a.b.zen.dq.spamhaus.net", "", ""},
		{"below a living list", "x.bl.spamcop.net", "", ""},
		{"below a dead domain", "dul.dnsbl.sorbs.net", "sorbs.net", ""},
		{"dead domain", "sorbs.net", "sorbs.net", ""},
		{"beside a dead domain", "notsorbs.net", "", ""},
		{"sibling of a dead list", "other.dnsbl.manitu.net", "", ""},
		{"unknown", "bl.example", "", ""},
		{"empty", "", "", ""},
	}
	table := Builtin()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if l, ok := table.Find(tt.upstream); ok {
				got = l.Zone
			}
			if got != tt.want {
				t.Errorf("Find(%q) = %q, want %q", tt.upstream, got, tt.want)
			}
			if key := table.Key(tt.upstream); key != tt.key {
				t.Errorf("Key(%q) = %q, want %q", tt.upstream, key, tt.key)
			}
		})
	}
}

func TestErrorName(t *testing.T) {
	table := Builtin()
	tests := []struct {
		zone string
		code string
		want string // "" when it is no error
	}{
		{"zen.spamhaus.org", "127.255.255.254", "open_resolver"},
		{"k.zen.dq.spamhaus.net", "127.255.255.255", "volume"},
		{"zen.spamhaus.org", "127.255.255.1", "blocked"},
		{"zen.spamhaus.org", "127.0.0.2", ""},
		{"multi.uribl.com", "127.0.0.1", "refused"},
		{"multi.uribl.com", "127.0.0.2", ""},
		{"hostkarma.junkemailfilter.com", "127.0.0.1", ""},
		{"list.dnswl.org", "127.0.0.255", "blocked"},
		{"list.dnswl.org", "127.0.5.1", ""},
		{"", "127.0.0.1", ""},
		{"", "127.255.255.252", "blocked"},
		{"", "127.255.254.252", ""},
		{"", "91.195.240.117", "outside_127"},
		{"", "0.0.0.0", "outside_127"},
	}
	for _, tt := range tests {
		l, _ := table.Find(tt.zone)
		c, err := ParseCode(tt.code)
		if err != nil {
			t.Fatal(err)
		}
		name, help, isError := ErrorName(l, c)
		if name != tt.want || isError != (tt.want != "") || isError != (help != "") {
			t.Errorf("ErrorName(%q, %s) = %q, %q, %t, want %q", tt.zone, tt.code, name, help, isError, tt.want)
		}
	}
}

func TestCodeNames_joins_bits(t *testing.T) {
	l, _ := Builtin().Find("multi.surbl.org")
	for code, want := range map[Code]string{
		0x7f000008: "phishing",
		0x7f000050: "malware+abuse",
		0x7f000002: "",
	} {
		got := l.CodeName(code)
		if len(strings.Split(got, "+")) != len(strings.Split(want, "+")) || want == "" && got != "" {
			t.Errorf("CodeName(%v) = %q, want %q in any order", code, got, want)
		}
	}
}

// TestCodeNames: a code of its own beats a set, the first set beats others, and
// a list that nobody knows names nothing.
func TestCodeNames(t *testing.T) {
	n, err := ParseCodeNames(map[string]string{"127.0.0.2": "one", "127.0.0.0/24": "net", "127.0.0.[3..9]": "octets", "127.0.1.[5]": "single"})
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[Code]string{0x7f000002: "one", 0x7f000003: "net", 0x7f000105: "single", 0x7f000106: ""} {
		if got := n.Name(code); got != want {
			t.Errorf("Name(%v) = %q, want %q", code, got, want)
		}
	}
	if _, err := ParseCodeNames(map[string]string{"x": "y"}); err == nil {
		t.Error("a name for x is no error")
	}
	if name := (*List)(nil).CodeName(CodeListed); name != "" {
		t.Errorf("no list names a code %q", name)
	}
}

func TestParseTable_refuses(t *testing.T) {
	const good = `[list."bl.example"]
name = "X"
holds = ["ip4"]
docs = "https://bl.example/"
`
	tests := []struct {
		name, text, want string
	}{
		{"unknown key", good + "listen = 1\n", `.listen"`},
		{"not TOML", "[list", "reading the table of lists"},
		{"no docs", strings.Replace(good, "docs", "removal", 1), "name, docs or removal is missing or no web address"},
		{"no name", strings.Replace(good, `"X"`, `""`, 1), "name, docs or removal is missing"},
		{"removal by mail", good + `removal = "mailto:x@bl.example"`, "name, docs or removal is missing or no web address"},
		{"docs without a host", strings.Replace(good, "https://bl.example/", "https:///x", 1), "no web address"},
		{"docs by FTP", strings.Replace(good, "https:", "ftp:", 1), "no web address"},
		{"no shape", strings.Replace(good, `"ip4"`, "", 1), "holds is empty or wrong"},
		{"trailing dot", strings.Replace(good, "bl.example", "bl.example.", 1), "without a trailing dot"},
		{"keyed form that is a list", strings.Replace(good, "bl.example", "a.example", 1) + good + "keyed = [\"a.example\"]\n", `its keyed form "a.example" stands in the table twice`},
		{"name for no code", good + `codes = { "x" = "y" }`, `"x" is not a code`},
		{"trouble for no code", good + `errors = { "x" = { name = "a", help = "b: c" } }`, `"x" is not a code`},
		{"dead without a name", "[dead.\"bl.example\"]\nsince = \"2020\"\nreason = \"y\"\n", "name or reason is missing"},
		{"error without a name", good + `errors = { "127.0.0.1" = { help = "b: c" } }`, "error code 127.0.0.1 lacks a name or a help"},
		{"unknown shape", strings.Replace(good, "ip4", "ipv4", 1), `"ipv4" is none of ip4, ip6, domain`},
		{"code outside 127/8", good + `listed = ["128.0.0.2"]`, "outside 127.0.0.0/8"},
		{"error that is a listing", good + `errors = { "127.0.0.2" = { name = "a", help = "b: c" } }`, "127.0.0.2 is an error and a listing"},
		{"error without help", good + `errors = { "127.0.0.1" = { name = "a" } }`, "error code 127.0.0.1 lacks a name or a help"},
		{"shares nothing", good + `shares = "x"`, `shares = "x" names no [errors] table`},
		{"unknown kind", good + `kind = "grey"`, `kind = "grey" is neither block nor allow`},
		{"unknown probe", good + `probe = "often"`, `probe = "often" is none of rfc5782, random, none`},
		{"capital", strings.Replace(good, "bl.example", "BL.example", 1), "write the zone in lower case"},
		{"twice", good + "[dead.\"bl.example\"]\nname = \"X\"\nsince = \"2020\"\nreason = \"y\"\n", "stands in the table twice"},
		{"dead since never", "[dead.\"bl.example\"]\nname = \"X\"\nsince = \"soon\"\nreason = \"y\"\n", `since = "soon" is no date`},
		{"dead without reason", "[dead.\"bl.example\"]\nname = \"X\"\nsince = \"2020\"\n", "name or reason is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseTable([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseTable = %v, want %s in it", err, tt.want)
			}
		})
	}
}
