package main

import (
	"bytes"
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

// TestClassify: a listed range does not make a listing of the code with which a
// list says that it does not answer; the code by itself does.
func TestClassify(t *testing.T) {
	lists, err := rbl.Builtin()
	if err != nil {
		t.Fatal(err)
	}
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
		known, _ := lists.Find(tt.zone)
		if name, bad := classify(known, listed)(code); bad != (tt.want != "") || bad && name != tt.want {
			t.Errorf("%s with listed %s: %s is the error %q, %t; want %q", tt.zone, tt.listed, tt.code, name, bad, tt.want)
		}
	}
}
