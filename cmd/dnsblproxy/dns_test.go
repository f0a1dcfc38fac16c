package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/rbl"
)

// rdata packs a record with the other implementation and returns its RDATA.
func rdata(t *testing.T, text string) []byte {
	t.Helper()
	rr, err := dns.NewRR("x. 60 IN " + text)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, dns.MaxMsgSize)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	const header = 3 + 10 // the owner "x.", then type, class, TTL and length
	return buf[header:n]
}

func TestFill(t *testing.T) {
	tests := []struct {
		name    string
		typ     spf.Type
		records []string
		want    string
	}{
		{"addresses", spf.TypeA, []string{"A 192.0.2.1", "A 192.0.2.2"}, "192.0.2.1 192.0.2.2"},
		{"IPv6", spf.TypeAAAA, []string{"AAAA 2001:db8::1"}, "2001:db8::1"},
		{"strings are joined without a space", spf.TypeTXT, []string{`TXT "v=spf1 " "-all"`, `TXT "other"`}, "v=spf1 -all|other"},
		{"an empty string", spf.TypeTXT, []string{`TXT ""`}, ""},
		{"MX by preference", spf.TypeMX, []string{"MX 20 b.example.", "MX 10 a.example.", "MX 20 c.example."}, "a.example b.example c.example"},
		{"a null MX (RFC 7505)", spf.TypeMX, []string{"MX 0 ."}, ""},
		{"PTR as they came", spf.TypePTR, []string{"PTR b.example.", "PTR a.example."}, "b.example a.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var records [][]byte
			for _, r := range tt.records {
				records = append(records, rdata(t, r))
			}
			var a spf.Answer
			if err := fill(&a, tt.typ, records); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(a.Strings, "|") + joinedAddrs(a) + strings.Join(a.Hosts, " ")
			if got != tt.want {
				t.Errorf("fill(%v) = %q, want %q", tt.records, got, tt.want)
			}
		})
	}
}

func joinedAddrs(a spf.Answer) string {
	var parts []string
	for _, x := range a.Addrs {
		parts = append(parts, x.String())
	}
	return strings.Join(parts, " ")
}

// TestFillDamaged cuts every record at every place: what is short is refused
// or, for a TXT cut between strings, shorter, and never a panic.
func TestFillDamaged(t *testing.T) {
	for typ, text := range map[spf.Type]string{
		spf.TypeA: "A 192.0.2.1", spf.TypeAAAA: "AAAA 2001:db8::1",
		spf.TypeMX: "MX 10 mail.example.", spf.TypePTR: "PTR mail.example.",
	} {
		whole := rdata(t, text)
		for n := range whole {
			var a spf.Answer
			if err := fill(&a, typ, [][]byte{whole[:n]}); err == nil {
				t.Errorf("%s cut to %d bytes is accepted: %+v", text, n, a)
			}
		}
	}
	var a spf.Answer
	if fill(&a, spf.TypeTXT, [][]byte{{5, 'a'}}) == nil || fill(&a, spf.TypePTR, [][]byte{{0xc0, 12}}) == nil {
		t.Error("a short string or a compression pointer is accepted")
	}
}

func TestTextName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, name := range []string{"example.com", "a b%.caf\xc9", strings.Join([]string{long, long, long, long[:61]}, ".")} {
		wire, err := rbl.AppendName(nil, name)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := textName(wire); err != nil || back != name {
			t.Errorf("textName(%q) = %q, %v, want %q", wire, back, err, name)
		}
	}
}
