package spf

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse_accepts(t *testing.T) {
	for _, s := range []string{
		"v=spf1",
		"V=SPF1 -ALL",
		"v=spf1   a  ",
		"v=spf1 a:foo:bar/baz.example.com/24//64",
		"v=spf1 a/0//0 mx//128 MX/32",
		"v=spf1 a:%{d}/24 a:%{d1r/}/24",
		"v=spf1 ptr ptr:%{ir}.%{v}.x.example",
		"v=spf1 ip6:::1.1.1.1/0 ip6:Cafe:Babe:8000::/33 ip6:::",
		"v=spf1 ip4:192.0.2.1 ip4:0.0.0.0/0",
		"v=spf1 exists:%{L1R+-}.%%.%_.%-.example.com",
		"v=spf1 include:a.1-2 include:_spf.example.com.",
		"v=spf1 moo.cow-far_out=man:dog/cat%%",
		"v=spf1 x= redirect=_spf.%{d} exp=%{i}.%{d}",
		"v=spf1 a:.com a:a..b.example",
		"v=spf1 exists:%{i999999999999999999999}.example.com",
	} {
		if _, err := Parse(s); err != nil {
			t.Errorf("Parse(%q): %v", s, err)
		}
	}
}

func TestParse_refuses(t *testing.T) {
	tests := []struct{ in, term string }{
		{"v=spf2 -all", ""},
		{"v=spf10", ""},
		{" v=spf1", ""},
		{"v=spf1\t-all", ""},
		{"v=spf1 -all:x.example", "-all:x.example"},
		{"v=spf1 all/8", "all/8"},
		{"v=spf1 --all", "--all"},
		{"v=spf1 -", "-"},
		{"v=spf1 a:", "a:"},
		{"v=spf1 a:museum.", "a:museum."},
		{"v=spf1 a:%{d}.", "a:%{d}."},
		{"v=spf1 a:%{d}com", "a:%{d}com"},
		{"v=spf1 a:192.0.2.1", "a:192.0.2.1"},
		{"v=spf1 a:x.-com", "a:x.-com"},
		{"v=spf1 a:x.com-", "a:x.com-"},
		{"v=spf1 a/33", "a/33"},
		{"v=spf1 a/024", "a/024"},
		{"v=spf1 a/24/64", "a/24/64"},
		{"v=spf1 a//64/24", "a//64/24"},
		{"v=spf1 a/", "a/"},
		{"v=spf1 a:x.example/", "a:x.example/"},
		{"v=spf1 ptr/24", "ptr/24"},
		{"v=spf1 exists", "exists"},
		{"v=spf1 include:x.example/24", "include:x.example/24"},
		{"v=spf1 ip4", "ip4"},
		{"v=spf1 ip4:192.0.2", "ip4:192.0.2"},
		{"v=spf1 ip4:192.0.2.01", "ip4:192.0.2.01"},
		{"v=spf1 ip4:192.0.2.0/", "ip4:192.0.2.0/"},
		{"v=spf1 ip4:2001:db8::", "ip4:2001:db8::"},
		{"v=spf1 ip6:192.0.2.1", "ip6:192.0.2.1"},
		{"v=spf1 ip6:fe80::1%eth0", "ip6:fe80::1%eth0"},
		{"v=spf1 ip6:::1//64", "ip6:::1//64"},
		{"v=spf1 ipv4:192.0.2.1", "ipv4:192.0.2.1"},
		{"v=spf1 \u0130p4:192.0.2.1", "\u0130p4:192.0.2.1"}, // whose lower case is an i
		{"v=spf1 redirect:x.example", "redirect:x.example"},
		{"v=spf1 redirect=", "redirect="},
		{"v=spf1 -redirect=x.example", "-redirect=x.example"},
		{"v=spf1 exp=x.example exp=x.example", "exp=x.example"},
		{"v=spf1 =x", "=x"},
		{"v=spf1 1up=x", "1up=x"},
		{"v=spf1 x=%", "x=%"},
		{"v=spf1 x=%{c}", "x=%{c}"},
		{"v=spf1 exists:%{d0}.x.example", "exists:%{d0}.x.example"},
		{"v=spf1 exists:%{dr2}.x.example", "exists:%{dr2}.x.example"},
		{"v=spf1 exists:%{}.x.example", "exists:%{}.x.example"},
		{"v=spf1 exists:%{d.x.example", "exists:%{d.x.example"},
		{"v=spf1 exists:%{r}", "exists:%{r}"},
		{"v=spf1 a:x\xff.example", "a:x\xff.example"},
		{"v=spf1 a\x00", "a\x00"},
	}
	for _, tt := range tests {
		r, err := Parse(tt.in)
		if err == nil {
			t.Errorf("Parse(%q) = %q, want an error", tt.in, canonical(r))
			continue
		}
		if want := fmt.Sprintf("term %q: ", tt.term); strings.HasPrefix(err.Error(), want) != (tt.term != "") {
			t.Errorf("Parse(%q) = %v, want a fault in %q", tt.in, err, tt.term)
		}
	}
}

func TestParse_findsEveryFault(t *testing.T) {
	_, err := Parse("v=spf1 moo a ip4:1.2.3 -all redirect=")
	for _, term := range []string{`"moo"`, `"ip4:1.2.3"`, `"redirect="`} {
		if err == nil || !strings.Contains(err.Error(), term) {
			t.Errorf("Parse = %v, want a word on %s", err, term)
		}
	}
}

func TestCanonical(t *testing.T) {
	r, err := Parse("V=spf1  +A/24//64 ?MX:x.example//128 -IP4:192.0.2.5/24 iP6:2001:DB8::/32 Foo=%% Redirect=%{D}  ")
	if err != nil {
		t.Fatal(err)
	}
	want := "v=spf1 a/24//64 ?mx:x.example -ip4:192.0.2.0/24 ip6:2001:db8::/32 Foo=%% redirect=%{D}"
	if got := canonical(r); got != want {
		t.Errorf("Canonical = %q, want %q", got, want)
	}
}

// FuzzParse: the canonical form of what parses means the same, term by term.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"v=spf1", "V=sPf1 +mx a:colo.example.com/28 -all ", "v=spf1 a:foo:bar/baz.example.com/24//64 ?all",
		"v=spf1 ip4:192.0.2.5/24 ip6:::ffff:1.2.3.4 redirect=%{d2r.-}.x.%_", "v=spf1 exists:%{L1r+-}.%%a.b x=%-",
		"v=spf1 exp=a.b ptr:x.1-2. mx//0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		c, err := Parse(canonical(r))
		if err != nil || canonical(c) != canonical(r) || len(c.terms) != len(r.terms) || len(c.steps) != len(r.steps) {
			t.Fatalf("canonical form of %q is %q, which reads as %v, %v", s, canonical(r), c, err)
		}
		for i := range r.terms {
			a, b := &r.terms[i], &c.terms[i]
			if a.Kind != b.Kind || a.Qualifier != b.Qualifier || a.Network != b.Network ||
				a.Bits4 != b.Bits4 || a.Bits6 != b.Bits6 || specText(a) != specText(b) || a.Live() != b.Live() {
				t.Fatalf("term %q of %q became %q", a.Text, s, b.Text)
			}
		}
	})
}
