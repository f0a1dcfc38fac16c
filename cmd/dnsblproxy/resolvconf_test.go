package main

import (
	"bytes"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// TestFollow changes resolv.conf under a server that has no servers of its own.
func TestFollow(t *testing.T) {
	d, _ := adminOf(t, strings.Replace(rereadConfig, `servers = ["127.0.0.1:53"]`, "", 1))
	var log bytes.Buffer
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	o := loadOptions(d.lists)
	o.ResolvConf = filepath.Join(t.TempDir(), "resolv.conf")
	o.Inherited = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.10:53")}
	var f follower
	look := func(text, inForce string) {
		t.Helper()
		writeFile(t, o.ResolvConf, text)
		d.follow(&f, o)
		if got := d.cfg.Load().Nameservers; len(got) == 0 || got[0].String() != inForce {
			t.Errorf("after %q: %v in force, want %s", text, got, inForce)
		}
	}
	before := d.cfg.Load().Nameservers[0].String()
	look("nameserver 192.0.2.53\n", before) // perhaps just being written
	look("nameserver 192.0.2.53\n", "192.0.2.53:53")
	look("nameserver 192.0.2.53\n# the same\n", "192.0.2.53:53")
	look("", "192.0.2.53:53")
	look("", "192.0.2.53:53") // none: no reason to ask nobody
	for range 3 {
		look("nameserver 127.0.0.10\n", "192.0.2.53:53") // ourselves
	}
	look("nameserver 192.0.2.53\n", "192.0.2.53:53")
	look("nameserver 192.0.2.54\n", "192.0.2.53:53")
	look("nameserver 192.0.2.55\n", "192.0.2.53:53")
	look("nameserver 192.0.2.55\n", "192.0.2.55:53")
	if got := strings.Count(log.String(), "level=ERROR"); got != 1 || !strings.Contains(log.String(), "our own listener") {
		t.Errorf("%d errors, want one about our own listener:\n%s", got, &log)
	}

	c, err := parsed(t, rereadConfig)
	if err == nil {
		err = d.apply(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	look("nameserver 192.0.2.53\n", "127.0.0.1:53") // servers are written down now
	look("nameserver 192.0.2.53\n", "127.0.0.1:53")
}

// TestFingerprints_servers: other servers in resolv.conf are to be asked from now on;
// what a list's own servers have said does not depend on them.
func TestFingerprints_servers(t *testing.T) {
	for via, want := range map[string][2]bool{ // answers and backend stay
		"": {false, false}, "via = \"direct\"\n": {true, false}, "via = [\"127.0.0.1:5300\"]\n": {true, true},
	} {
		c, err := parsed(t, rereadConfig+"[zone.\"bl.example\"]\n"+via)
		if err != nil {
			t.Fatal(err)
		}
		z := c.Zones[slices.IndexFunc(c.Zones, func(z *config.Zone) bool { return z.Name == "bl.example" })]
		answers, backend := fingerprints(c, z)
		c.Nameservers = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}
		a, b := fingerprints(c, z)
		if got := [2]bool{a == answers, b == backend}; got != want {
			t.Errorf("%q: answers and backend stay: %v, want %v", via, got, want)
		}
	}
}
