package rbl

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

// wire turns "a.b" into labels in wire form. It knows no escapes.
func wire(name string) []byte {
	var b []byte
	if name == "" {
		return b
	}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return b
}

func TestAppendName(t *testing.T) {
	long := strings.Repeat("a", 63)
	longest := strings.Join([]string{long, long, long, long[:61]}, ".")
	for _, tt := range []struct {
		in, want string // "" where it must refuse
	}{
		{"Example.COM", "\x07example\x03com\x00"},
		{"@AZ[", "\x04@az[\x00"},
		{"zen.org.", "\x03zen\x03org\x00"},
		{"a b%.\\.", "\x04a b%\x01\\\x00"},
		{"CAF\xc9.\u0130.example", "\x04caf\xc9\x02\u0130\x07example\x00"}, // bytes, in no charset
		{longest, string(wire(longest)) + "\x00"},
		{longest + ".", string(wire(longest)) + "\x00"},
		{longest + "a", ""},
		{long + "a.example", ""},
		{"", ""},
		{".", ""},
		{".a", ""},
		{"a..b", ""},
		{"a..", ""},
	} {
		got, err := AppendName([]byte("before"), tt.in)
		if (err != nil) != (tt.want == "") || string(got) != "before"+tt.want {
			t.Errorf("AppendName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestSubject_Name(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"RFC 5782, section 2.1", "192.0.2.99", "99.2.0.192.bl.example"},
		{"RFC 5782, section 2.4", "2001:db8:1:2:3:4:567:89ab",
			"b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"},
		{"mapped stays IPv6", "::ffff:127.0.0.2",
			"2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example"},
		{"domain in capitals with a dot", "Example.COM.", "example.com.bl.example"},
		{"test entry", "TEST", "test.bl.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSubject(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Name("bl.example"); got != tt.want {
				t.Errorf("Name(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if got, want := s.AppendWire(nil), wire(strings.TrimSuffix(tt.want, ".bl.example")); !bytes.Equal(got, want) {
				t.Errorf("AppendWire(%q) = %q, want %q", tt.in, got, want)
			}
		})
	}
}

func TestParseSubject_refuses(t *testing.T) {
	for _, in := range []string{
		"", ".", "a..b", "a..", ".example.com", "fe80::1%eth0", "192.0.2", "192.0.2.256", "1.2.3.4.5", "192.0.2.099",
		"a b.example", "bücher.example", strings.Repeat("a", 64) + ".example", strings.Repeat("abcdefg.", 32) + "example",
	} {
		if s, err := ParseSubject(in); err == nil {
			t.Errorf("ParseSubject(%q) = %v, want an error", in, s)
		}
	}
}

var zeros = strings.Repeat(".0", 20)

func TestParseLabels(t *testing.T) {
	const all, v4, v6, dom = HoldsAll, HoldsIP4, HoldsIP6, HoldsDomain
	tests := []struct {
		name  string // what is special about the input
		in    string
		holds Holds
		shape Shape
		addr  string
		test  TestEntry
	}{
		{"apex", "", all, Apex, "", NotTest},
		{"v4", "99.2.0.192", v4, IP4, "192.0.2.99", NotTest},
		{"v4 below a list of domains", "99.2.0.192", dom, IP4, "192.0.2.99", NotTest},
		{"v4 that could start a v6 name", "1.0.0.2", v6, IP4, "2.0.0.1", NotTest},
		{"v4 test entry", "2.0.0.127", v4, IP4, "127.0.0.2", TestListed},
		{"v4 that must not be listed", "1.0.0.127", v4, IP4, "127.0.0.1", TestUnlisted},
		{"v4 largest octet", "255.2.0.192", v4, IP4, "192.0.2.255", NotTest},
		{"v4 octet that wraps", "4294967298.2.0.192", v4, Invalid, "", NotTest},
		{"v4 octet with a letter", "9a.2.0.192", v4, Invalid, "", NotTest},
		{"v4 leading zero", "099.2.0.192", v4, Invalid, "", NotTest},
		{"v4 too large", "256.2.0.192", all, Invalid, "", NotTest},
		{"v4 five octets", "1.99.2.0.192", v4, Invalid, "", NotTest},
		{"five single digits below v6", "1.9.2.0.1", v6, Partial, "", NotTest},
		{"v4 three octets", "2.0.192", v4, Partial, "", NotTest},
		{"three octets below domains", "2.0.192", dom, Invalid, "", NotTest},
		{"three octets below v6", "2.0.192", v6, Invalid, "", NotTest},
		{"three octets with a leading zero", "02.0.192", v4, Invalid, "", NotTest},
		{"three octets, one too large", "2.0.256", v4, Invalid, "", NotTest},
		{"ambiguous partial", "1.2.3", all, Partial, "", NotTest},
		{"partial nibbles", "8.b.d.0.1.0.0.2", v6, Partial, "", NotTest},
		{"partial nibbles in a list of v4", "8.b.d.0.1.0.0.2", v4, Invalid, "", NotTest},
		{"letters that are nibbles, list of domains", "a.b", dom, Domain, "", NotTest},
		{"letters in a list of v4", "a.b", v4, Domain, "", NotTest},
		{"a letter that is no nibble", "a.g", v6, Domain, "", NotTest},
		{"a mark that is no nibble", "a.#", v6, Domain, "", NotTest},
		{"letters that are nibbles, list of v6", "a.b", v6, Partial, "", NotTest},
		{"v6 test entry", "2.0.0.0.0.0.f.7.f.f.f.f" + zeros, v6, IP6, "::ffff:127.0.0.2", TestListed},
		{"v6 that must not be listed", "1.0.0.0.0.0.f.7.f.f.f.f" + zeros, v6, IP6, "::ffff:127.0.0.1", TestUnlisted},
		{"v6 one nibble short", "0.0.0.0.0.f.7.f.f.f.f" + zeros, v6, Partial, "", NotTest},
		{"v6 one nibble long", "0.2.0.0.0.0.0.f.7.f.f.f.f" + zeros, v6, Invalid, "", NotTest},
		{"v6 in capitals, which never arrives", "2.0.0.0.0.0.F.7.F.F.F.F" + zeros, v6, Invalid, "", NotTest},
		{"v6 two digits in a label", "20.0.0.0.0.0.f.7.f.f.f.f" + zeros, v6, Invalid, "", NotTest},
		{"domain", "www.example.com", dom, Domain, "", NotTest},
		{"domain below a list of addresses", "www.example.com", v4, Domain, "", NotTest},
		{"domain entry TEST", "test", dom, Domain, "", TestListed},
		{"domain entry INVALID", "invalid", dom, Domain, "", TestUnlisted},
		{"a domain under test", "www.test", dom, Domain, "", NotTest},
		{"underscore and hash", "_spf.0a1b2c.example", dom, Domain, "", NotTest},
		{"domain that ends in a number", "example.123", dom, Invalid, "", NotTest},
		{"domain that ends in digits and a hyphen", "example.1-2", dom, Domain, "", NotTest},
		{"longest label", strings.Repeat("a", 63), dom, Domain, "", NotTest},
		{"first capital", "exAmple.com", dom, Invalid, "", NotTest},
		{"last capital", "exZmple.com", dom, Invalid, "", NotTest},
		{"delete", "exa\x7fmple.com", dom, Invalid, "", NotTest},
		{"quote", "exa\"mple.com", dom, Invalid, "", NotTest},
		{"backslash", "exa\\mple.com", dom, Invalid, "", NotTest},
		{"space", "exa mple.com", dom, Invalid, "", NotTest},
		{"control", "exa\x00mple.com", dom, Invalid, "", NotTest},
		{"high byte", "exa\xffmple.com", dom, Invalid, "", NotTest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := Subject{Shape: tt.shape, Test: tt.test}
			if tt.addr != "" {
				want.Addr = netip.MustParseAddr(tt.addr)
			}
			if got := ParseLabels(wire(tt.in), tt.holds); got != want {
				t.Errorf("ParseLabels(%q) = %+v, want %+v", tt.in, got, want)
			}
		})
	}
}

func TestParseLabels_malformed(t *testing.T) {
	for _, in := range []string{"\x00", "\x00\x01a", "\x03ab", "\x01", "\x04test\x00", "\x01a\x40" + strings.Repeat("a", 64), "\x03a.b"} {
		if got := ParseLabels([]byte(in), HoldsAll); got != (Subject{}) {
			t.Errorf("ParseLabels(%q) = %+v, want invalid", in, got)
		}
	}
}

func TestDomainText(t *testing.T) {
	for in, want := range map[string]string{
		"\x03www\x07example": "www.example", "\x04a b\\": "a?b?", "\x09abc": "abc", "": "",
	} {
		if got := DomainText([]byte(in)); got != want {
			t.Errorf("DomainText(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestSubject_none: what is no subject has no name, and no zone of an address is in one.
func TestSubject_none(t *testing.T) {
	if s := AddrSubject(netip.Addr{}); s != (Subject{}) {
		t.Errorf("AddrSubject of no address = %+v", s)
	}
	if s := AddrSubject(netip.MustParseAddr("fe80::1%eth0")); s.String() != "fe80::1" {
		t.Errorf("AddrSubject keeps the zone: %v", s)
	}
	if b := (Subject{Shape: Domain, Domain: "a..b"}).AppendWire(nil); len(b) > 0 {
		t.Errorf("AppendWire of no name = %q", b)
	}
}

func TestHolds(t *testing.T) {
	for words, shapes := range map[string]map[Shape]bool{
		"ip4 domain": {IP4: true, IP6: false, Domain: true, Apex: false, Partial: false, Invalid: false},
		"ip6":        {IP4: false, IP6: true, Domain: false},
	} {
		h, err := ParseHolds(strings.Fields(words))
		if err != nil {
			t.Fatal(err)
		}
		for shape, want := range shapes {
			if h.Has(shape) != want {
				t.Errorf("%s: Has(%v) = %t, want %t", words, shape, !want, want)
			}
		}
		if got := strings.Join(h.Strings(), " "); got != words {
			t.Errorf("Strings() = %q, want %q", got, words)
		}
	}
	if _, err := ParseHolds([]string{"ipv4"}); err == nil {
		t.Error("ParseHolds(ipv4) = nil, want an error")
	}
}
