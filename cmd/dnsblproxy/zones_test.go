package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// TestStateChanged holds that a line which says that a state has changed
// names two of them.
func TestStateChanged(t *testing.T) {
	d, _ := adminOf(t, rereadConfig)
	state := func(c upstream.Condition, reason string) upstream.State {
		return upstream.State{Condition: c, Reason: reason}
	}
	for _, tt := range []struct {
		from, to upstream.State
		want     string
	}{
		{state(upstream.Healthy, ""), state(upstream.Suspect, "ip4"),
			`level=WARN msg="list changed state" from=healthy to=suspect reason=ip4`},
		{state(upstream.Suspect, "ip4"), state(upstream.Suspect, "ip6"),
			`level=WARN msg="list is in this state for another reason" state=suspect reason=ip6 before=ip4`},
		{state(upstream.Suspect, "ip6"), state(upstream.Healthy, ""),
			`level=INFO msg="list changed state" from=suspect to=healthy`},
	} {
		var log bytes.Buffer
		d.stateChanged(slog.New(slog.NewTextHandler(&log, nil)), "bl.example", tt.from, tt.to)
		if got := log.String(); !strings.Contains(got, tt.want) {
			t.Errorf("from %v to %v the log says\n%swant\n%s", tt.from, tt.to, got, tt.want)
		}
	}
}

// TestZoneOptions holds each setting of a zone against what the resolver is told,
// at its default and as something else.
func TestZoneOptions(t *testing.T) {
	lists := rbl.Builtin()
	d := &proxy{lists: lists}
	c, err := parsed(t, `[zone."bl.example"]
[zone."alias.example"]
upstream = "other.example"
kind = "allow"
listed = ["127.0.0.2-127.0.0.3"]
no_override = ["127.0.0.3"]
codes = { "127.0.0.3" = "MINE" }
holds = ["ip6"]
mode = "observe"
on_failure = "servfail"
verify = false
[zone."zen.spamhaus.org"]
mode = "off"
[zone."dbl.spamhaus.org"]
[zone."rdns.example"]
source = "rdns"
[zone."white.example"]
source = "allow"
`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"bl.example bl.example source 0 mode 0 allow false holds [ip4 ip6 domain] listed 127.0.0.0, 127.0.0.2-127.255.254.255 kept  name  servfail false verify true",
		"alias.example other.example source 0 mode 1 allow true holds [ip6] listed 127.0.0.2-127.0.0.3 kept 127.0.0.3 name MINE servfail true verify false",
		"zen.spamhaus.org zen.spamhaus.org source 0 mode 2 allow false holds [ip4 ip6] listed 127.0.0.2-127.0.0.11, 127.0.0.30 kept  name CSS servfail false verify true",
		"dbl.spamhaus.org dbl.spamhaus.org source 0 mode 0 allow false holds [domain] listed 127.0.1.2-127.0.1.99 kept  name  servfail false verify true",
		"rdns.example rdns.example source 4 mode 0 allow false holds [ip4 ip6] listed 127.0.0.0, 127.0.0.2-127.255.254.255 kept  name  servfail false verify true",
		"white.example white.example source 2 mode 0 allow true holds [ip4 ip6 domain] listed 127.0.0.0, 127.0.0.2-127.255.254.255 kept  name  servfail false verify true",
	} {
		o, err := d.zoneOptions(c.Zones[i])
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s %s source %d mode %d allow %t holds %v listed %s kept %s name %s servfail %t verify %t",
			o.Name, o.Upstream, o.Source, o.Mode, o.Allow, o.Holds.Strings(), o.Listed, o.NoOverride, o.CodeName(0x7f000003), o.ServfailOnFailure, o.Verify)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestClassify: a listed range does not make a listing of the code with which a
// list says that it does not answer; the code by itself does.
func TestClassify(t *testing.T) {
	for _, tt := range []struct{ zone, listed, code, want string }{
		{"bl.example", "127.0.0.0/8", "127.255.255.254", "blocked"},
		{"zen.spamhaus.org", "127.0.0.2-127.255.255.255", "127.255.255.254", "open_resolver"},
		{"dbl.spamhaus.org", "127.0.1.0/24", "127.0.1.255", "ip_asked"},
		{"multi.uribl.com", "127.0.0.&255", "127.0.0.1", "refused"},
		{"multi.uribl.com", "127.0.0.1", "127.0.0.1", ""},
		{"bl.example", "127.255.255.254", "127.255.255.254", ""},
		{"bl.example", "127.0.0.0/8", "127.0.0.1", ""},
		{"bl.example", "127.0.0.0/8", "203.0.113.80", "outside_127"},
	} {
		listed, err := rbl.ParseCodeSet([]string{tt.listed})
		if err != nil {
			t.Fatal(err)
		}
		code, err := rbl.ParseCode(tt.code)
		if err != nil {
			t.Fatal(err)
		}
		known, _ := rbl.Builtin().Find(tt.zone)
		if name, _, bad := classify(known, listed)(code); bad != (tt.want != "") || bad && name != tt.want {
			t.Errorf("%s with listed %s: %s is the error %q, %t; want %q", tt.zone, tt.listed, tt.code, name, bad, tt.want)
		}
	}
}
