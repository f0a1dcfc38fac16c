package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

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
