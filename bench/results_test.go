package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dnsblproxy/bench/internal/peers"
)

// drifting is three rounds on a machine whose speed changes: the proxy costs
// 0.9 of the bare loop in each of them.
func drifting() *Results {
	r := &Results{Servers: []string{peers.Bare, peers.Proxy, "unbound", dnsdist}, Machine: Machine{Date: time.Unix(0, 0), Commit: "abc"}}
	for _, speed := range []float64{1, 1.7, 1.2} {
		round := Round{}
		for _, w := range []string{warmFew, warmMany, warmOne, missOne, missMany} {
			round[w] = map[string]Figure{
				peers.Bare:  {CPU: 5 * speed, P50: 20 * speed, P99: 40 * speed, PerSecond: 1000},
				peers.Proxy: {CPU: 4.5 * speed, P50: 22 * speed, P99: 44 * speed, Lost: 1},
				"unbound":   {CPU: 6 * speed, P50: 20 * speed, P99: 88 * speed},
				dnsdist:     {CPU: 7 * speed, P50: 44 * speed, P99: 44 * speed},
			}
		}
		r.Rounds = append(r.Rounds, round)
	}
	return r
}

func TestResults_ratio(t *testing.T) {
	r := drifting()
	got := r.ratio(warmFew, "cpu", peers.Proxy, peers.Bare)
	if math.Abs(got.Median-0.9) > 1e-9 || math.Abs(got.Least-0.9) > 1e-9 || math.Abs(got.Most-0.9) > 1e-9 {
		t.Errorf("ratio = %+v, want 0.9 throughout", got)
	}
	if got := r.ratio(warmFew, "cpu", peers.Proxy, "nobody"); got.Median != 0 {
		t.Errorf("ratio to nobody = %+v", got)
	}
}

func TestResults_finish(t *testing.T) {
	r := drifting()
	r.Behaviour = map[string]Behaviour{peers.Proxy: {TogetherAsked: 1, TogetherAnswered: together, DeadFirst: -1}}
	r.finish()
	if f := r.Medians[warmFew][peers.Proxy]; math.Abs(f.CPU-5.4) > 1e-9 || f.Lost != 3 {
		t.Errorf("medians %+v, want 5.4 µs and 3 lost", f)
	}
	reached := map[string]bool{}
	for _, x := range r.Targets {
		reached[x.What] = x.Reached
	}
	for what, want := range map[string]bool{
		"CPU per cached answer, 8 clients, of a bare loop's":      true,
		"p50 of cached answers one at a time, of the best peer's": false, // 22 to unbound's 20
		"p99 of cached answers one at a time, of the best peer's": true,
		"questions to the list when 200 clients ask for one name": true,
		"ms to the first answer without the list":                 false,
	} {
		if got, ok := reached[what]; !ok || got != want {
			t.Errorf("%s: reached %v (%v), want %v", what, got, ok, want)
		}
	}
}

// TestResults_targets: what a run left out is not reached.
func TestResults_targets(t *testing.T) {
	r := drifting()
	r.Servers = []string{peers.Bare, peers.Proxy, "unbound"}
	for _, round := range r.Rounds {
		for window := range round {
			if window != warmMany {
				delete(round, window)
			}
		}
	}
	r.finish()
	var got []string
	for _, x := range r.Targets {
		if !strings.HasPrefix(x.What, "garbage collector's") && x.What != "its longest pause, in ms" {
			got = append(got, x.What)
		}
	}
	if want := []string{"CPU per cached answer, 128 outstanding, of a bare loop's"}; !slices.Equal(got, want) {
		t.Errorf("targets %q, want %q", got, want)
	}
}

func TestResults_write(t *testing.T) {
	r := drifting()
	r.finish()
	dir := t.TempDir()
	if err := r.write(dir, true); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := r.write(other, false); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(other); err != nil || len(files) != 1 || files[0].Name() != "19700101-0000-abc.json" {
		t.Errorf("a run that left something out wrote %v, %v", files, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "latest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again Results
	if err := json.Unmarshal(b, &again); err != nil || len(again.Rounds) != 3 || again.Machine.Commit != "abc" {
		t.Errorf("what was written reads as %+v, %v", again.Machine, err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "latest.svg"))
	if err != nil || !strings.Contains(string(svg), peers.Proxy) {
		t.Errorf("picture: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "19700101-0000-abc.json")); err != nil {
		t.Error(err)
	}
	var out strings.Builder
	r.print(&out)
	for _, want := range []string{"5.4 (0.90)", "NOT REACHED", "dnsblproxy, warm_8: of 0 answers 3 lost"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the tables:\n%s", want, &out)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median of %v = %v, want %v", tt.in, got, tt.want)
		}
	}
}
