package rbl

import (
	"net/netip"
	"testing"
)

func TestBuiltin_parses(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := table.Find("k3y.zen.dq.spamhaus.net."); !ok || l.Zone != "zen.spamhaus.org" {
		t.Errorf("keyed form is not found: %v", l)
	}
}

func TestSubject_Name(t *testing.T) {
	tests := []struct{ in, want string }{
		{"192.0.2.99", "99.2.0.192.bl.example"},
		{"2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"},
		{"Example.COM.", "example.com.bl.example"},
	}
	for _, tt := range tests {
		s, err := ParseSubject(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Name("bl.example"); got != tt.want {
			t.Errorf("Name(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	_ = netip.Addr{}
}
