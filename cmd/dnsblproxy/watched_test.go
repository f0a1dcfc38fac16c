package main

import (
	"strings"
	"testing"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
)

func TestWatchable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"203.0.113.25", ""},
		{"203.0.113.0/24", ""},
		{"2001:db8::/120", ""},
		{"255.255.255.0-255.255.255.255", ""},
		{"203.0.112.0/23", "more than 256 addresses"},
		{"2001:db8::/64", "more than 256 addresses"},
		{"::/0", "more than 256 addresses"},
		{"203.0.113.25/24", "host bits"},
	}
	for _, tt := range tests {
		err := watchable(tt.in)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("watchable(%q) = %v, want %q", tt.in, err, tt.want)
		}
	}
}

func TestWatches(t *testing.T) {
	zone := func(name, source, kind, mode string, holds ...string) *config.Zone {
		return &config.Zone{Name: name, Upstream: config.Secret(name), Source: source, Kind: kind, Mode: mode, Holds: holds}
	}
	c := &config.Config{
		Zones: []*config.Zone{
			zone("zen.spamhaus.org", "upstream", "block", "enforce", "ip4", "ip6"),
			zone("list.dnswl.org", "upstream", "allow", "enforce", "ip4"),
			zone("dbl.spamhaus.org", "upstream", "block", "enforce", "domain"),
			zone("local.rbl.internal", "deny", "block", "observe", "ip4"),
			zone("off.rbl.internal", "upstream", "block", "off", "ip4"),
			zone("sum.rbl.internal", "combined", "block", "enforce", "ip4"),
		},
		Watch: []*config.Watch{
			{Name: "all", CIDR: []string{"192.0.2.0/31", "2001:db8::1"}},
			{Name: "one", CIDR: []string{"192.0.2.1"}, Zones: []string{"sum.rbl.internal", "off.rbl.internal"}},
		},
	}
	got := watches(c, rbl.Builtin())
	var names []string
	for _, z := range got[0].Zones {
		names = append(names, z.Name)
	}
	if want := "zen.spamhaus.org local.rbl.internal"; strings.Join(names, " ") != want {
		t.Errorf("a watch of all asks %q, want %s", names, want)
	}
	if got[0].Zones[0].Removal == "" || got[0].Zones[1].Removal != "" {
		t.Errorf("removal pages %+v, want one of the list that has one", got[0].Zones)
	}
	if len(got[0].Addrs) != 3 || got[0].Addrs[2].String() != "2001:db8::1" {
		t.Errorf("addresses %v, want three", got[0].Addrs)
	}
	// A list that is off is not asked, and that it has an address no more would be a lie.
	if len(got[1].Zones) != 1 || got[1].Zones[0].Name != "sum.rbl.internal" {
		t.Errorf("zones of the other %v, want the one it names that is on", got[1].Zones)
	}
}
