package overrides

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // whatever the machine has
)

func TestParseRange(t *testing.T) {
	tests := []struct {
		name string // what is special about the input
		in   string
		want string // as Range prints it
	}{
		{"address", "192.0.2.7", "192.0.2.7"},
		{"cidr", "198.51.100.0/24", "198.51.100.0/24"},
		{"whole", "0.0.0.0/0", "0.0.0.0/0"},
		{"netmask", "172.16.0.0/255.255.240.0", "172.16.0.0/20"},
		{"netmask of one", "192.0.2.7/255.255.255.255", "192.0.2.7"},
		{"netmask of all", "0.0.0.0/0.0.0.0", "0.0.0.0/0"},
		{"range", "203.0.113.10-203.0.113.20", "203.0.113.10-203.0.113.20"},
		{"range with spaces", " 203.0.113.10 - 203.0.113.20 ", "203.0.113.10-203.0.113.20"},
		{"range that is a prefix", "10.0.0.0-10.0.0.255", "10.0.0.0/24"},
		{"range of one", "10.0.0.1-10.0.0.1", "10.0.0.1"},
		{"ipv6", "2001:db8::1", "2001:db8::1"},
		{"ipv6 cidr", "2001:DB8::/48", "2001:db8::/48"},
		{"ipv6 range", "2001:db8::1-2001:db8::5", "2001:db8::1-2001:db8::5"},
		{"mapped", "::ffff:192.0.2.7", "192.0.2.7"},
		{"mapped cidr", "::ffff:192.0.2.0/120", "192.0.2.0/24"},
		{"mapped all", "::ffff:0:0/96", "0.0.0.0/0"},
		{"mapped range", "::ffff:192.0.2.1-192.0.2.3", "192.0.2.1-192.0.2.3"},
		{"around mapped", "::/64", "::/64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRange(tt.in)
			if err != nil || got.String() != tt.want {
				t.Fatalf("ParseRange(%q) = %v, %v, want %s", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseRange_refusals(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // part of the message: what to write instead
	}{
		{"empty", "", "is empty"},
		{"word", "efax", "write it like"},
		{"host bits", "192.0.2.5/24", "write 192.0.2.0/24 or 192.0.2.5"},
		{"host bits ipv6", "2001:db8::1/32", "write 2001:db8::/32 or 2001:db8::1"},
		{"host bits mapped", "::ffff:192.0.2.5/120", "write 192.0.2.0/24 or 192.0.2.5"},
		{"mapped with the length of IPv4", "::ffff:192.0.2.0/24", "write 192.0.2.0/24"},
		{"host bits netmask", "192.0.2.5/255.255.255.0", "write 192.0.2.0/24 or 192.0.2.5"},
		{"reversed", "10.0.0.9-10.0.0.1", "write 10.0.0.1-10.0.0.9"},
		{"short end", "10.0.0.1-9", "write 10.0.0.1-10.0.0.9"},
		{"mixed", "10.0.0.1-2001:db8::1", "two entries"},
		{"zone", "fe80::1%eth0", "write fe80::1"},
		{"zone in cidr", "fe80::%eth0/64", "write fe80::"},
		{"leading zeros", "192.000.002.007", "write 192.0.2.7"},
		{"hole", "10.0.0.0/255.0.255.0", "ones come first"},
		{"wildcard mask", "10.0.0.0/0.0.0.255", "write 10.0.0.0/24"},
		{"netmask on ipv6", "2001:db8::/255.255.0.0", "prefix length"},
		{"too long", "10.0.0.0/33", "0 to 32"},
		{"negative", "10.0.0.0/-1", ""},
		{"padded length", "10.0.0.0/08", "0 to 32"},
		{"no length", "10.0.0.0/", "0 to 32"},
		{"three octets", "10.0.0/24", "write it like"},
		{"brackets", "[2001:db8::1]", "write 2001:db8::1"},
		{"port", "192.0.2.1:25", "write it like"},
		{"two slashes", "10.0.0.0/8/8", "0 to 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRange(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("ParseRange(%q) = %v, %v, want an error with %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseDomain(t *testing.T) {
	tests := []struct{ in, want string }{ // want "" for a refusal
		{"example.com", "example.com"},
		{".Example.COM", ".example.com"},
		{"example.com.", "example.com"},
		{"_spf.example.com", "_spf.example.com"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"*.example.com", ""},
		{"example", ""},
		{"", ""},
		{".", ""},
		{"a..b", ""},
		{"192.0.2.x", ""},
		{"192.0.2.300", ""},
		{"-a.example", ""},
		{"a b.example", ""},
		{strings.Repeat("a", 64) + ".example", ""},
		{strings.Repeat("a.", 130) + "example", ""},
	}
	for _, tt := range tests {
		got, err := ParseDomain(tt.in)
		if tt.want == "" {
			if err == nil {
				t.Errorf("ParseDomain(%q) = %v, want a refusal", tt.in, got)
			}
			continue
		}
		if err != nil || got.String() != tt.want {
			t.Errorf("ParseDomain(%q) = %v, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

// TestParseHost: nothing is told to be written that is refused then.
func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"Mail.Example.COM.": "mail.example.com",
		" bücher.example":   "xn--bcher-kva.example",
		".example.com":      `".example.com" begins with "."; write example.com`,
		"*.example.com":     `"*.example.com" begins with "*."; write example.com`,
		"example":           `"example" is no domain name (it has one label only); write it like example.com`,
		".":                 `"." is no domain name (it is empty); write it like example.com`,
		"":                  `"" is no domain name (it is empty); write it like example.com`,
	} {
		got, err := ParseHost(in)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParseHost(%q): %s; want %s", in, got, want)
		}
	}
}

func TestParseRuleFile(t *testing.T) {
	const in = "\ufeff# fax senders\r\n192.0.2.7 # one\r\n\r\n" +
		"203.0.113.10 - 203.0.113.20 until 2027-03-31\r\n.example.com\r\n  2001:db8::/48\r\n18-x.xxx"
	entries, problems := ParseRuleFile("efax.txt", []byte(in))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, e := range entries {
		got = append(got, strings.Join([]string{e.String(), string(rune('0' + e.Line))}, " @"))
	}
	want := []string{"192.0.2.7 @2", "203.0.113.10-203.0.113.20 until 2027-03-31 @4", ".example.com @5", "2001:db8::/48 @6", "18-x.xxx @7"}
	if !slices.Equal(got, want) {
		t.Errorf("entries = %q, want %q", got, want)
	}
}

func TestParseRuleFile_problems(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"host bits", "# x\n192.0.2.5/24\n", "f.txt:2: 192.0.2.5/24 has host bits set; write 192.0.2.0/24 or 192.0.2.5"},
		{"date", "192.0.2.5 until tomorrow", `f.txt:1: "tomorrow" is no date; write it like 2027-03-31`},
		{"impossible date", "192.0.2.5 until 2027-02-30", `f.txt:1: "2027-02-30" is no date`},
		{"year one", "192.0.2.5 until 0001-01-01", `f.txt:1: "0001-01-01" is no date`},
		{"no date", "192.0.2.5 until", "f.txt:1: \"192.0.2.5 until\" has no single date"},
		{"two on a line", "192.0.2.5 192.0.2.6", "f.txt:1: "},
		{"comma", "192.0.2.5, 192.0.2.6", "one entry a line"},
		{"wildcard", "*.example.com", "write .example.com"},
		{"long", strings.Repeat("1", 1000), "f.txt:1: the line has 1000 bytes"},
		{"binary", "\x00\x01\x02", "f.txt:1: "},
		{"utf-16", "\xff\xfe1\x00", "save it as UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := ParseRuleFile("f.txt", []byte(tt.in))
			if len(problems) != 1 || !strings.Contains(problems[0].Error(), tt.want) {
				t.Fatalf("problems = %q, want one with %q", problems, tt.want)
			}
		})
	}
	if _, problems := ParseRuleFile("f.txt", []byte(strings.Repeat("x\n", 100))); len(problems) != maxFileFault+1 {
		t.Errorf("100 bad lines give %d problems, want %d", len(problems), maxFileFault+1)
	}
}

// FuzzParseRange checks that what parses prints as something that parses to
// the same, that the prefixes cover exactly the range, and that no address is
// mapped or has a zone.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"192.0.2.7", "10.0.0.0/255.0.0.0", "10.0.0.1-10.0.0.9", "::ffff:1.2.3.4/100", "fe80::1%a", "::/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		for _, a := range []netip.Addr{r.First, r.Last} {
			if a.Is4In6() && r.First.Is4() || a.Zone() != "" || r.First == r.Last && a.Is4In6() {
				t.Fatalf("ParseRange(%q) has the end %v", s, a)
			}
		}
		if r.Last.Less(r.First) || r.First.Is4() != r.Last.Is4() {
			t.Fatalf("ParseRange(%q) = %v", s, r)
		}
		if again, err := ParseRange(r.String()); err != nil || again != r {
			t.Fatalf("ParseRange(%q) = %v, which reads back as %v, %v", s, r, again, err)
		}
	})
}

// Where clocks are set forward at midnight, one day a year begins at one o'clock.
// It is a day as any other, and so is the one before.
func TestParseEntry_day_without_midnight(t *testing.T) {
	local := time.Local
	t.Cleanup(func() { time.Local = local })
	for day, zone := range map[string]string{
		"2026-09-05": "America/Santiago", "2026-09-06": "America/Santiago", "2026-03-07": "America/Havana",
		"2026-03-08": "America/Havana", "2026-04-23": "Africa/Cairo", "2026-04-24": "Africa/Cairo",
	} {
		var err error
		if time.Local, err = time.LoadLocation(zone); err != nil {
			t.Fatal(err)
		}
		e, err := ParseEntry("192.0.2.1 until " + day)
		if err != nil {
			t.Fatal(err)
		}
		if got := dayOf(endOf(e.Until)).Format(time.DateOnly); got != day || e.String() != "192.0.2.1 until "+day {
			t.Errorf("%s: %s is written back as %s, and counts until %s", zone, day, e, got)
		}
		y, m, d := e.Until.Date()
		if e.Ended(time.Date(y, m, d, 23, 59, 59, 0, time.Local)) || !e.Ended(time.Date(y, m, d+1, 1, 0, 0, 0, time.Local)) {
			t.Errorf("%s: %s does not end with its day", zone, e)
		}
	}
}
