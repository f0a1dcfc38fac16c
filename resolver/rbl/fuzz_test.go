package rbl

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// parseSlow is the definition of ParseLabels over text labels: try to read the
// labels as an address and compare with what the address is called.
func parseSlow(labels []string, holds Holds) Subject {
	if len(labels) == 0 {
		return Subject{Shape: Apex}
	}
	back := slices.Clone(labels)
	slices.Reverse(back)
	// netip refuses leading zeros, signs and values above 255.
	if a, err := netip.ParseAddr(strings.Join(back, ".")); err == nil && a.Is4() && len(labels) == 4 {
		return AddrSubject(a)
	}
	octets, nibbles := true, true
	for _, l := range labels {
		v, err := strconv.Atoi(l)
		octets = octets && err == nil && v >= 0 && v <= 255 && strconv.Itoa(v) == l
		nibbles = nibbles && len(l) == 1 && strings.Contains("0123456789abcdef", l)
	}
	if nibbles && len(labels) == 32 {
		var text strings.Builder
		for i, l := range back {
			if i > 0 && i%4 == 0 {
				text.WriteByte(':')
			}
			text.WriteString(l)
		}
		return AddrSubject(netip.MustParseAddr(text.String()))
	}
	if octets && len(labels) < 4 && holds&HoldsIP4 != 0 || nibbles && len(labels) < 32 && holds&HoldsIP6 != 0 {
		return Subject{Shape: Partial}
	}
	legal := regexp.MustCompile(`^[!#-\-/-9;-@\[\]-~]{1,63}$`)
	for _, l := range labels {
		if !legal.MatchString(l) {
			return Subject{}
		}
	}
	if regexp.MustCompile(`^[0-9]+$`).MatchString(labels[len(labels)-1]) {
		return Subject{}
	}
	s := Subject{Shape: Domain}
	if name := strings.Join(labels, "."); name == "test" {
		s.Test = TestListed
	} else if name == "invalid" {
		s.Test = TestUnlisted
	}
	return s
}

// splitWire returns the labels, or false where a length is 0, above 63, or
// overruns.
func splitWire(b []byte) ([]string, bool) {
	var labels []string
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || n > 63 || n > len(b)-1 {
			return nil, false
		}
		labels = append(labels, string(b[1:1+n]))
		b = b[1+n:]
	}
	return labels, true
}

// FuzzParseLabels compares ParseLabels with parseSlow on arbitrary labels, as
// they are and cut from readable text.
func FuzzParseLabels(f *testing.F) {
	for _, s := range []string{"", "2.0.0.127", "1.2.3", "256.1.1.1", "a.b", "1.0.0.2", "test", "00.1.2.3", "www.example.com", "8.b.d.0.1.0.0.2",
		"b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"} {
		f.Add(wire(s), uint8(HoldsAll))
	}
	f.Fuzz(func(t *testing.T, raw []byte, h uint8) {
		holds := Holds(h) & HoldsAll
		for _, in := range [][]byte{raw, wire(string(raw))} {
			labels, ok := splitWire(in)
			want := Subject{}
			if ok {
				want = parseSlow(labels, holds)
			}
			got := ParseLabels(in, holds)
			if got != want {
				t.Fatalf("ParseLabels(%q, %v) = %+v, parseSlow = %+v", in, holds.Strings(), got, want)
			}
			if got.Shape == Domain {
				text := DomainText(in)
				s, err := ParseSubject(text)
				if len(text) <= 253 && (err != nil || !bytes.Equal(s.AppendWire(nil), in)) {
					t.Fatalf("ParseSubject(%q).AppendWire = %q, %v, want %q", text, s.AppendWire(nil), err, in)
				}
			}
		}
	})
}

// FuzzSubject_roundTrip: what an address is called leads back to it.
func FuzzSubject_roundTrip(f *testing.F) {
	f.Add([]byte{192, 0, 2, 99})
	f.Add(netip.MustParseAddr("::ffff:127.0.0.2").AsSlice())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		s := AddrSubject(a)
		if got := ParseLabels(s.AppendWire(nil), 0); got != s {
			t.Fatalf("ParseLabels(AppendWire(%v)) = %+v, want %+v", a, got, s)
		}
		if got := ParseLabels(wire(strings.TrimSuffix(s.Name("zone"), ".zone")), 0); got != s {
			t.Fatalf("ParseLabels(Name(%v)) = %+v, want %+v", a, got, s)
		}
		if got, err := ParseSubject(a.String()); err != nil || got != s {
			t.Fatalf("ParseSubject(%v) = %+v, %v, want %+v", a, got, err, s)
		}
	})
}

// containsSlow is the definition of one spelling of a set of codes.
func containsSlow(spelling string, c Code) bool {
	if first, last, ok := strings.Cut(spelling, "-"); ok {
		a, b := netip.MustParseAddr(first), netip.MustParseAddr(last)
		return a.Compare(c.Addr()) <= 0 && c.Addr().Compare(b) <= 0
	}
	if strings.Contains(spelling, "/") {
		return netip.MustParsePrefix(spelling).Contains(c.Addr())
	}
	fields := regexp.MustCompile(`\[[^\]]*\]|[^.]+`).FindAllString(spelling, -1)
	for i, octet := range c.Addr().As4() {
		if !octetMatchesSlow(fields[i], int(octet)) {
			return false
		}
	}
	return true
}

func octetMatchesSlow(field string, v int) bool {
	if mask, ok := strings.CutPrefix(field, "&"); ok {
		m, _ := strconv.Atoi(mask)
		return v&m != 0
	}
	for alt := range strings.SplitSeq(strings.Trim(field, "[]"), ";") {
		var first, last int
		if n, _ := fmt.Sscanf(alt, "%d..%d", &first, &last); n < 2 {
			last = first
		}
		if first <= v && v <= last {
			return true
		}
	}
	return false
}

// FuzzParseCodeSet: every spelling that is accepted contains what its slow
// definition says, and nothing outside 127.0.0.0/8.
func FuzzParseCodeSet(f *testing.F) {
	for _, s := range []string{"127.0.0.2", "127.0.0.2-127.0.0.11", "127.0.0.2\n- 127.0.0.11", "127.0.1.0/24", "127.0.[2..15].[0..3]", "127.0.0.[2;4..7]", "127.0.0.&8", "127.[0].&1.3", "[127].0.0.2", "&127.0.0.2"} {
		f.Add(s, uint32(0x7f000002))
	}
	f.Fuzz(func(t *testing.T, spelling string, code uint32) {
		set, err := ParseCodeSet([]string{spelling})
		if err != nil {
			return
		}
		for _, c := range []Code{Code(code), Code(code)&0xffffff | 0x7f000000, Code(code)&0xff | 0x7f000000} {
			got, want := set.Contains(c), containsSlow(strings.Join(strings.Fields(spelling), ""), c)
			if got != want || got && !c.Loopback() {
				t.Fatalf("%q contains %v: %t, want %t", spelling, c, got, want)
			}
		}
	})
}
