package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

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
		{"a\x03zen\x03org", "zen.org", "", false},
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
	var names []string
	for m := n; len(m) > 1; m = m.Parent() {
		names = append(names, m.String())
	}
	if got := strings.Join(names, " "); got != "a.bc.def bc.def def" || n.Labels() != 3 {
		t.Errorf("names = %q, Labels() = %d", got, n.Labels())
	}
	if !n.Equal(Name("\x01A\x02Bc\x03deF\x00")) || n.Equal(mustName(t, "a.bc.deg")) {
		t.Error("Equal does not ignore case alone")
	}
}

// FuzzName_String holds that a name prints as text that miekg/dns packs as the
// same name.
func FuzzName_String(f *testing.F) {
	for _, s := range []string{"\x00", "\x03zen\x08spamhaus\x03org\x00", "\x05a.b\\c\x00", "\x02\x00\xff\x01X\x00", "\x03\"q\"\x01z\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := Name(b)
		if !n.Valid() {
			return
		}
		buf := make([]byte, 300)
		off, err := dns.PackDomainName(dns.Fqdn(n.String()), buf, 0, nil, false)
		if err != nil || !bytes.Equal(buf[:off], n) {
			t.Fatalf("miekg packs %q as %q, %v, want %q", n.String(), buf[:off], err, n)
		}
	})
}

// mustName is a name in wire form; "." is the root.
func mustName(t testing.TB, s string) Name {
	t.Helper()
	if s == "." {
		return Name{0}
	}
	n, err := rbl.AppendName(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
