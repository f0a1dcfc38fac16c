package spf

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// The examples of RFC 7208, section 7.4, and some more.
func TestExpand(t *testing.T) {
	tests := []struct{ in, ip, want string }{
		{"%{s}", "192.0.2.3", "strong-bad@email.example.com"},
		{"%{o}", "192.0.2.3", "email.example.com"},
		{"%{d}", "192.0.2.3", "email.example.com"},
		{"%{d4}", "192.0.2.3", "email.example.com"},
		{"%{d3}", "192.0.2.3", "email.example.com"},
		{"%{d2}", "192.0.2.3", "example.com"},
		{"%{d1}", "192.0.2.3", "com"},
		{"%{dr}", "192.0.2.3", "com.example.email"},
		{"%{d2r}", "192.0.2.3", "example.email"},
		{"%{l}", "192.0.2.3", "strong-bad"},
		{"%{l-}", "192.0.2.3", "strong.bad"},
		{"%{lr}", "192.0.2.3", "strong-bad"},
		{"%{lr-}", "192.0.2.3", "bad.strong"},
		{"%{l1r-}", "192.0.2.3", "strong"},
		{"%{ir}.%{v}._spf.%{d2}", "192.0.2.3", "3.2.0.192.in-addr._spf.example.com"},
		{"%{lr-}.lp._spf.%{d2}", "192.0.2.3", "bad.strong.lp._spf.example.com"},
		{"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "192.0.2.3", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"%{d2}.trusted-domains.example.net", "192.0.2.3", "example.com.trusted-domains.example.net"},
		{"%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
		{"%{c}", "2001:db8::CB01", "2001:db8::cb01"},
		{"%{p}", "192.0.2.3", "unknown"},
		{"%{h}|%{H1}|%{S}", "192.0.2.3", "mx.example.org|org|strong-bad%40email.example.com"},
		{"%{r} %{t}", "192.0.2.3", "unknown 946684800"},
		{"%%%_%-x", "192.0.2.3", "% %20x"},
	}
	synctest.Test(t, func(t *testing.T) { // its time begins with the year 2000
		for _, tt := range tests {
			ms, err := parseMacroString(tt.in, true)
			if err != nil {
				t.Errorf("parseMacroString(%q): %v", tt.in, err)
				continue
			}
			q := Query{Addr: netip.MustParseAddr(tt.ip), Sender: "strong-bad@email.example.com", HELO: "mx.example.org"}
			c := newCheck(t.Context(), newPolicies(newFakeDNS(), 0), q)
			got, err := c.expand(ms, c.domain)
			if err != nil || got != tt.want {
				t.Errorf("expand(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		}
	})
}

// An explanation is one line of ASCII that an SMTP reply has room for, given
// with a fail, if it is asked for.
func TestCheckHost_explanation(t *testing.T) {
	q := Query{Addr: netip.MustParseAddr("192.0.2.3"), Domain: "example.com"}
	for text, want := range map[string]string{
		"no": "no", "~": "~", "no\x1f": "", "no\x7f": "", "n\xf6": "", "%{q}": "",
		strings.Repeat("x", 4096): strings.Repeat("x", 4096), strings.Repeat("x", 4097): "",
	} {
		for record, want := range map[string]string{"v=spf1 exp=e.example -all": want, "v=spf1 exp=e.example ~all": ""} {
			d := newFakeDNS()
			d.at("example.com").txt, d.at("e.example").txt = []string{record}, []string{text}
			for _, explain := range []bool{true, false} {
				q.Explain = explain
				got := CheckHost(t.Context(), d, q).Explanation
				if got != want && explain || got != "" && !explain {
					t.Errorf("%q of %q, wanted %t: %q", text, record, explain, got)
				}
			}
		}
	}
}

// RFC 7208, section 7.3: the domain itself, else a subdomain, else any name.
func TestExpand_validatedName(t *testing.T) {
	const other, sub, itself = "other.example.net", "sub.example.com", "example.com"
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{nil, "unknown"},
		{[]string{"not.there"}, "unknown"},
		{[]string{"other.test"}, "unknown"}, // its address is another
		{[]string{other}, other},
		{[]string{"not.there", other, "second.example.net"}, other},
		{[]string{other, sub, "sub2.example.com"}, sub},
		{[]string{other, sub, "Example.COM."}, itself},
	} {
		d := zone("other.test A 192.0.2.9\nexample.com TXT v=spf1 -all exp=why.test\nwhy.test TXT %{p}")
		for _, n := range []string{other, sub, itself, "sub2.example.com", "second.example.net"} {
			d.at(n).addrs = []netip.Addr{netip.MustParseAddr("192.0.2.3")}
		}
		if tt.names != nil {
			d.at("3.2.0.192.in-addr.arpa").ptr = tt.names
		}
		if got := checkAddr(t, d, "192.0.2.3", "example.com"); got.Explanation != tt.want {
			t.Errorf("%%{p} of %v = %q, want %q", tt.names, got.Explanation, tt.want)
		}
	}
}

// What an explanation asks counts against no limit.
func TestExpand_explanationIsFree(t *testing.T) {
	d := zone("example.com TXT v=spf1 a:a.test a:b.test -all exp=why.test\nwhy.test TXT you are %{p}")
	if got := checkAddr(t, d, "192.0.2.3", "example.com"); got.Result != Fail || got.Explanation != "you are unknown" {
		t.Errorf("got %v %q after two voids, want fail and an explanation", got.Result, got.Explanation)
	}
}

func TestAskable(t *testing.T) {
	label := strings.Repeat("a", 63)
	for name, want := range map[string]bool{
		"": false, ".": false, "a": true, "a.": false, ".a": false, "a..b": false, "a b.c%": true,
		label + ".b": true, label + "a.b": false, "b." + label + "a": false,
		strings.Repeat("a.", 126) + "b": true, strings.Repeat("a.", 126) + "bc": false,
	} {
		if got := askable(name); got != want {
			t.Errorf("askable(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestQueryName(t *testing.T) {
	label := strings.Repeat("a", 60)
	long := strings.Repeat(label+".", 4) + "Example.COM."
	for in, want := range map[string]string{
		"Example.COM.": "example.com", "x..": "x.", "": "", ".": "",
		long:                     long[:0] + strings.Repeat(label+".", 3) + "example.com",
		strings.Repeat("x", 300): strings.Repeat("x", 300),
	} {
		if got := queryName(in); got != want {
			t.Errorf("queryName(%q) = %q, want %q", in, got, want)
		}
	}
}

// transformSlow is the definition of section 7.3, one step after the other.
func transformSlow(v, delims string, keep int, reverse bool) string {
	if delims == "" {
		delims = "."
	}
	parts := []string{""}
	for i := range len(v) {
		if strings.Contains(delims, v[i:i+1]) {
			parts = append(parts, "")
		} else {
			parts[len(parts)-1] += v[i : i+1]
		}
	}
	if reverse {
		slices.Reverse(parts)
	}
	for keep > 0 && len(parts) > keep {
		parts = parts[1:]
	}
	return strings.Join(parts, ".")
}

// FuzzMacro: a macro-string that parses expands to its literal parts and the
// transformed values of its macros in order, and a name made of it is never
// too long unless one label is.
func FuzzMacro(f *testing.F) {
	f.Add("%{l1r-}.%{d2}", "strong-bad")
	f.Add("%{S}%%%_%-%{i12R.-+,/_=}x", "a@b c")
	f.Add("%{l}", "ÿ\x00..")
	f.Fuzz(func(t *testing.T, s, value string) {
		ms, err := parseMacroString(s, false)
		if err != nil {
			return
		}
		got, err := ms.expand(func(byte) (string, error) { return value, nil })
		if err != nil {
			t.Fatal(err)
		}
		rest := got
		for _, p := range ms.pieces {
			want := p.text
			if p.letter != 0 {
				want = transformSlow(value, p.delims, p.keep, p.reverse)
				if p.escape {
					want = urlEscape(want)
				}
			}
			var ok bool
			if rest, ok = strings.CutPrefix(rest, want); !ok {
				t.Fatalf("expand(%q) with %q = %q, want %q next", s, value, got, want)
			}
		}
		if rest != "" {
			t.Fatalf("expand(%q) with %q = %q, %q too many", s, value, got, rest)
		}
		if name := queryName(got); len(name) > maxName && strings.Contains(name, ".") {
			t.Fatalf("queryName(%q) has %d bytes", got, len(name))
		}
	})
}
