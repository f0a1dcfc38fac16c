package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParseName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	longest := strings.Join([]string{label63, label63, label63, label63[:61]}, ".")
	tests := []struct {
		name string
		in   string
		want string // wire form; "" when ParseName must refuse
	}{
		{"root as dot", ".", "\x00"},
		{"root as nothing", "", "\x00"},
		{"upper case", "Zen.ORG", "\x03zen\x03org\x00"},
		{"trailing dot", "zen.org.", "\x03zen\x03org\x00"},
		{"escaped dot", `a\.b.c`, "\x03a.b\x01c\x00"},
		{"escaped number", `\065\000.c`, "\x02a\x00\x01c\x00"},
		{"escaped letter", `\Q.c`, "\x01q\x01c\x00"},
		{"longest label", label63, "\x3f" + label63 + "\x00"},
		{"longest name", longest, "\x3f" + label63 + "\x3f" + label63 + "\x3f" + label63 + "\x3d" + label63[:61] + "\x00"},
		{"name one too long", longest + "a", ""},
		{"label one too long", label63 + "a", ""},
		{"empty label", "a..b", ""},
		{"leading dot", ".a", ""},
		{"two trailing dots", "a..", ""},
		{"bare backslash", `a\`, ""},
		{"short number", `a\12`, ""},
		{"number too large", `a\256`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseName(tt.in)
			if (err == nil) != (tt.want != "") || string(got) != tt.want {
				t.Fatalf("ParseName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
			if err == nil && !got.Valid() {
				t.Errorf("ParseName(%q) is not Valid", tt.in)
			}
		})
	}
}

func TestName_CutSuffix(t *testing.T) {
	tests := []struct {
		name, zone string
		want       string
		ok         bool
	}{
		{"2.0.0.127.zen.org", "zen.org", "\x012\x010\x010\x03127", true},
		{"zen.org", "zen.org", "", true},
		{"badzen.org", "zen.org", "", false},
		{"org", "zen.org", "", false},
		{"zen.org", ".", "\x03zen\x03org", true},
		// The suffix's octets stand inside a longer label.
		{`a\003zen\003org`, "zen.org", "", false},
	}
	for _, tt := range tests {
		n, zone := mustName(t, tt.name), mustName(t, tt.zone)
		got, ok := n.CutSuffix(zone)
		if ok != tt.ok || string(got) != tt.want || n.Under(zone) != tt.ok {
			t.Errorf("CutSuffix(%q, %q) = %q, %t, want %q, %t", tt.name, tt.zone, got, ok, tt.want, tt.ok)
		}
	}
}

func TestName_walk(t *testing.T) {
	n := mustName(t, "a.bc.def")
	var labels []string
	for m := n; len(m) > 1; m = m.Parent() {
		labels = append(labels, string(m.Label()))
	}
	if got := strings.Join(labels, " "); got != "a bc def" || n.Labels() != 3 {
		t.Errorf("labels = %q, Labels() = %d", got, n.Labels())
	}
	if !n.Equal(Name("\x01A\x02Bc\x03deF\x00")) || n.Equal(mustName(t, "a.bc.deg")) {
		t.Error("Equal does not ignore case alone")
	}
}

// FuzzName holds that what ParseName accepts is valid, prints and reads back
// as itself, and is what miekg/dns packs for the same text.
func FuzzName(f *testing.F) {
	for _, s := range []string{".", "zen.spamhaus.org", `a\.b\\.c`, `\000\255.x`, "a..b", `"q".z`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if !n.Valid() {
			t.Fatalf("ParseName(%q) = %q, not valid", s, n)
		}
		again, err := ParseName(n.String())
		if err != nil || !bytes.Equal(again, n) {
			t.Fatalf("%q prints as %q, reads back as %q, %v", n, n.String(), again, err)
		}
		buf := make([]byte, 300)
		off, err := dns.PackDomainName(dns.Fqdn(n.String()), buf, 0, nil, false)
		if err != nil || !bytes.Equal(buf[:off], n) {
			t.Fatalf("miekg packs %q as %q, %v, want %q", n.String(), buf[:off], err, n)
		}
	})
}

func mustName(t testing.TB, s string) Name {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
