package main

import (
	"strings"
	"testing"

	"dnsblproxy/bench/internal/peers"
)

func TestTraced(t *testing.T) {
	tr := &Traced{Factor: 20, Sockets: TracePart{Questions: 10, Rows: []TraceRow{
		{Who: idealInfinite, Asked: 500},
		{Who: peers.Proxy, CacheMB: 1, Prefetch: true, Asked: 600, Lost: 2},
		{Who: peers.Proxy, CacheMB: 64, Asked: 510},
		{Who: unboundName, CacheMB: 1, Prefetch: true, Asked: 800},
	}}}
	var got []string
	tr.targets(func(what string, figure, most float64) {
		if figure != .75 || most != 1 {
			t.Errorf("%s: %v, at most %v", what, figure, most)
		}
		got = append(got, what)
	})
	if len(got) != 1 || !strings.Contains(got[0], "1 MiB, prefetch and stale on") {
		t.Errorf("targets %q, want the one size that unbound has too", got)
	}
	var out strings.Builder
	tr.print(&out)
	for _, want := range []string{"1.200", "0.750", "1.020", "rounded to whole seconds", "2 questions had no answer"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
