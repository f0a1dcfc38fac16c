package rbl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestCodeSet(t *testing.T) {
	tests := []struct {
		set  []string
		in   []string
		out  []string
		name string
	}{
		{name: "single", set: []string{"127.0.0.2"}, in: []string{"127.0.0.2"}, out: []string{"127.0.0.1", "127.0.0.3"}},
		{name: "range", set: []string{"127.0.0.2-127.0.0.11"}, in: []string{"127.0.0.2", "127.0.0.11"}, out: []string{"127.0.0.1", "127.0.0.12"}},
		{name: "range of one", set: []string{"127.0.0.2-127.0.0.2"}, in: []string{"127.0.0.2"}, out: []string{"127.0.0.3"}},
		{name: "range over octets", set: []string{"127.0.0.250-127.0.1.5"}, in: []string{"127.0.0.255", "127.0.1.0"}, out: []string{"127.0.1.6"}},
		{name: "CIDR", set: []string{"127.0.1.0/24"}, in: []string{"127.0.1.0", "127.0.1.255"}, out: []string{"127.0.2.0"}},
		{name: "all of it", set: []string{"127.0.0.0/8"}, in: []string{"127.0.0.0", "127.255.255.255"}, out: []string{"128.0.0.0", "126.255.255.255"}},
		{name: "brackets of Postfix", set: []string{"127.0.[2..15].[0..3]"}, in: []string{"127.0.2.0", "127.0.15.3"}, out: []string{"127.0.1.0", "127.0.2.4", "127.0.16.0", "128.0.2.0"}},
		{name: "alternatives", set: []string{"127.0.0.[0;2;4..7;10]"}, in: []string{"127.0.0.0", "127.0.0.2", "127.0.0.5", "127.0.0.10"}, out: []string{"127.0.0.3", "127.0.0.8"}},
		{name: "bit", set: []string{"127.0.0.&8"}, in: []string{"127.0.0.8", "127.0.0.12", "127.0.0.255"}, out: []string{"127.0.0.7", "127.0.0.16", "127.0.1.8"}},
		{name: "bits", set: []string{"127.0.0.&6"}, in: []string{"127.0.0.2", "127.0.0.4", "127.0.0.7"}, out: []string{"127.0.0.1", "127.0.0.8"}},
		{name: "several", set: []string{"127.0.0.2", "127.0.1.0/24"}, in: []string{"127.0.0.2", "127.0.1.9"}, out: []string{"127.0.0.9"}},
		{name: "none", set: nil, out: []string{"127.0.0.2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := ParseCodeSet(tt.set)
			if err != nil {
				t.Fatal(err)
			}
			check(t, set, tt.in, true)
			check(t, set, tt.out, false)
			if !slices.Equal(set.Strings(), tt.set) || set.Empty() != (len(tt.set) == 0) {
				t.Errorf("Strings() = %q, want %q", set.Strings(), tt.set)
			}
		})
	}
}

func check(t *testing.T, set CodeSet, codes []string, want bool) {
	t.Helper()
	for _, s := range codes {
		c, err := ParseCode(s)
		if err != nil {
			t.Fatal(err)
		}
		if set.Contains(c) != want {
			t.Errorf("%v contains %v: %t, want %t", set, c, !want, want)
		}
	}
}

// TestCodeSet_Names: what a range holds it does not name.
// TestCodeSet_Meets holds every pair of spellings against the codes themselves.
func TestCodeSet_Meets(t *testing.T) {
	spellings := []string{
		"127.0.0.2", "127.0.0.3", "127.0.0.0-127.0.0.2", "127.0.0.4-127.0.1.9", "127.0.1.0/24", "127.0.0.&1", "127.0.0.&6",
		"127.0.1.[2;9]", "127.0.[0..1].4", "127.0.[0..1].[4..255]", "127.0.1.&128",
	}
	parse := func(s string) CodeSet {
		set, err := ParseCodeSet([]string{s})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	for _, a := range spellings {
		for _, b := range spellings {
			x, y, want := parse(a), parse(b), false
			for c := Code(0x7f000000); c < 0x7f000200; c++ {
				want = want || x.Contains(c) && y.Contains(c)
			}
			if x.Meets(y) != want {
				t.Errorf("%s meets %s: %t, want %t", a, b, !want, want)
			}
		}
	}
	if (CodeSet{}).Meets(DefaultListed()) || DefaultListed().Meets(CodeSet{}) {
		t.Error("an empty set meets another")
	}
}

// TestCodeSet_Span counts one by one.
func TestCodeSet_Span(t *testing.T) {
	for _, spelling := range []string{"127.0.0.2", "127.0.0.2-127.0.1.1", "127.1.0.0/16", "127.0.[2..15].[0;3..4]", "127.[0;9].1.&8"} {
		set, err := ParseCodeSet([]string{spelling})
		if err != nil {
			t.Fatal(err)
		}
		var least, most Code
		n := 0
		for c := Code(0x7f000000); c <= 0x7f0fffff; c++ {
			if set.Contains(c) {
				if most = c; n == 0 {
					least = c
				}
				n++
			}
		}
		if first, last, size := set.Span(); first != least || last != most || size != n {
			t.Errorf("%s: Span() = %v, %v, %d; want %v, %v, %d", spelling, first, last, size, least, most, n)
		}
	}
}

func TestCodeSet_Names(t *testing.T) {
	set, err := ParseCodeSet([]string{"127.0.1.0/24", "127.0.0.2-127.0.0.11", "127.0.0.&128", "127.255.255.254", "127.0.2.255/32"})
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]bool{
		"127.255.255.254": true, "127.0.2.255": true,
		"127.0.1.0": false, "127.0.1.255": false, "127.0.0.2": false, "127.0.0.128": false, "127.0.0.1": false,
	} {
		c, err := ParseCode(code)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Names(c); got != want {
			t.Errorf("%v names %s: %t", set, code, got)
		}
	}
}

func TestDefaultListed(t *testing.T) {
	set := DefaultListed()
	check(t, set, []string{"127.0.0.0", "127.0.0.2", "127.0.1.1", "127.1.0.1", "127.255.254.255"}, true)
	check(t, set, []string{"127.0.0.1", "127.255.255.0", "127.255.255.254", "127.255.255.255", "126.0.0.2", "128.0.0.2", "0.0.0.0"}, false)
	again, err := ParseCodeSet(set.Strings())
	if err != nil {
		t.Fatal(err)
	}
	for c := Code(0x7efffff0); c < 0x7f000010; c++ {
		if again.Contains(c) != set.Contains(c) {
			t.Errorf("the spelling of the default differs from it at %v", c)
		}
	}
}

func TestParseCodeSet_refuses(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `"" is not a code such as 127.0.0.2`},
		{"127.0.0", `"127.0.0" is not a code`},
		{"::1", `"::1" is not a code`},
		{"10.0.0.2", "outside 127.0.0.0/8"},
		{"127.0.0.2-128.0.0.2", "outside 127.0.0.0/8"},
		{"126.0.0.2-127.0.0.2", "outside 127.0.0.0/8"},
		{"127.0.0-127.0.0.2", `"127.0.0" is not a code`},
		{"127.0.0.2-x", `"x" is not a code`},
		{"::/0", "not a CIDR"},
		{"0.0.0.0/0", "outside 127.0.0.0/8"},
		{"10.0.0.[2..3]", "outside 127.0.0.0/8"},
		{"127.0.0.11-127.0.0.2", "reversed range; write 127.0.0.2-127.0.0.11"},
		{"127.0.0.5/24", "host bits are set; write 127.0.0.0/24 or 127.0.0.5"},
		{"127.0.0.0/33", "not a CIDR"},
		{"127.0.0.[3..2]", "reversed range; write [2..3]"},
		{"127.0.0.[2..256]", `"256" is not an octet`},
		{"127.0.0.[2..11", "bracket without an end"},
		{"127.0.0.[2..11]x", "not four octets"},
		{"127.0.[2..11]", "not four octets"},
		{"127.0.0.[02]", `"02" is not an octet`},
		{"127.0.0.[]", `"" is not an octet`},
		{"127.0.0.&0", "&0 tests no bit"},
		{"127.0.0.&x", `"x" is not an octet`},
		{"127.0.0.0.&8", "not four octets"},
	}
	for _, tt := range tests {
		if _, err := ParseCodeSet([]string{tt.in}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseCodeSet(%q) = %v, want %s in it", tt.in, err, tt.want)
		}
	}
}

func TestCode(t *testing.T) {
	c := CodeFromAddr(netip.AddrFrom4([4]byte{127, 0, 0, 2}))
	if c != CodeListed || c.String() != "127.0.0.2" || !c.Loopback() {
		t.Errorf("CodeFromAddr = %v, want 127.0.0.2", c)
	}
	if c := CodeFromAddr(netip.IPv6Loopback()); c != 0 {
		t.Errorf("CodeFromAddr(::1) = %v, want none", c)
	}
}
