package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowedImports is which package of the module may import which other ones.
// A package that is not in it fails the test, so that a new one is placed on
// purpose. cmd/dnsblproxy itself may import everything.
func allowedImports() map[string][]string {
	const (
		wire     = "resolver/internal/wire"
		spare    = "resolver/internal/spare"
		rbl      = "resolver/rbl"
		upstream = "resolver/upstream"
	)
	return map[string][]string{
		"cmd/dnsblproxy/internal/config": nil,
		"cmd/dnsblproxy/internal/admin":  nil,
		"cmd/dnsblproxy/internal/state":  nil,
		"cmd/dnsblproxy/internal/report": nil,
		"cmd/dnsblproxy/internal/doctor": nil,
		"cmd/dnsblproxy/internal/watch":  nil,
		"cmd/dnsblproxy/internal/tap":    nil,
		"cmd/dnsblproxy/internal/e2e":    nil,

		"resolver":         {wire, spare, rbl, upstream, "resolver/dataset", "overrides", "cache"},
		wire:               nil,
		spare:              nil,
		rbl:                nil,
		upstream:           {wire, spare, rbl},
		"resolver/dataset": {rbl},
		"resolver/rdns":    {rbl},
		"resolver/combine": {rbl},
		"overrides":        {"overrides/spf"},
		"overrides/spf":    nil,
		"cache":            nil,
		"cache/shared":     nil,
		"bench":            {"bench/internal/chart", "bench/internal/load", "bench/internal/peers", "bench/internal/proc", "bench/internal/replay", "bench/internal/trace", "resolver", rbl, "overrides", "cache"},

		"bench/internal/chart": nil,
		"bench/internal/load":  nil,
		"bench/internal/peers": {"bench/internal/load", "bench/internal/proc"},
		"bench/internal/proc":  nil,

		// What the lists are asked in hours is counted inside the program too.
		"bench/internal/trace":  nil,
		"bench/internal/replay": {"bench/internal/load", "bench/internal/trace", "resolver", rbl, upstream, "overrides"},
	}
}

// TestImports keeps the libraries usable on their own: none of them knows
// the configuration or the process, and only resolver/upstream sends DNS
// questions. Test files are free to import what they like.
func TestImports(t *testing.T) {
	const module = "dnsblproxy"
	var stderr bytes.Buffer
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...")
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	allowed := allowedImports()
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module+"/")
		may, placed := allowed[pkg]
		if pkg == "cmd/dnsblproxy" {
			continue
		}
		if !placed {
			t.Errorf("%s has no row in allowedImports", pkg)
		}
		for _, imported := range fields[1:] {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which its row in allowedImports does not hold", pkg, ours)
			}
		}
	}
}
