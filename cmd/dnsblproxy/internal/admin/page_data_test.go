package admin

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestJournal compares with a list that keeps everything.
func TestJournal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{1, 2, 7} {
		j := NewJournal(size)
		var all []Decision
		for i := range 40 {
			kept := all[max(0, len(all)-size):]
			for _, verdict := range []string{"", "listed"} {
				most := r.IntN(5)
				var want []Decision
				for _, d := range slices.Backward(kept) {
					if (verdict == "" || d.Verdict == verdict) && strings.Contains(d.Subject, "1") {
						want = append(want, d)
					}
				}
				got, matches, n := j.search("1", verdict, most)
				if matches != len(want) || n != len(kept) || fmt.Sprint(got) != fmt.Sprint(want[:min(most, len(want))]) {
					t.Fatalf("size %d, after %d: Search = %v, %d, %d, want %v, %d, %d", size, i, got, matches, n, want, len(want), len(kept))
				}
			}
			d := Decision{Subject: fmt.Sprint(i), Verdict: []string{"listed", "exempt"}[r.IntN(2)]}
			all = append(all, d)
			j.Add(d)
		}
	}
}

func TestJournal_everyField(t *testing.T) {
	j := NewJournal(4)
	j.Add(Decision{
		Subject: "192.0.2.1", Zone: "bl.example.org", Client: "127.0.0.9", Verdict: "failed", Rule: "Fax",
		Source: "spf efax.com", Reason: "no answer", Codes: []string{"XBL", "PBL"},
	})
	for _, text := range []string{"", " ", "0.2.1", "BL.example", "127.0.0.9", "fail", "fax", "efax.com", "NO ANSWER", "pbl"} {
		if _, n, _ := j.search(text, "", 1); n != 1 {
			t.Errorf("search(%q) finds nothing", text)
		}
	}
	if _, n, _ := j.search("zzz", "", 1); n != 0 {
		t.Error("search(zzz) finds it")
	}
}

// TestJournal_race is for the race detector.
func TestJournal_race(t *testing.T) {
	j := NewJournal(10)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				j.Add(Decision{Subject: "192.0.2.1"})
				j.search("x", "", 3)
			}
		})
	}
	wg.Wait()
	if _, n, kept := j.search("192", "", 0); n != 10 || kept != 10 {
		t.Errorf("%d of %d, want 10 of 10", n, kept)
	}
}

// TestHistory_Run samples real counters by the clock, with a zone that comes
// and one that goes.
func TestHistory_Run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		queries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dnsblproxy_queries_total", Help: "Test."}, []string{"zone", "verdict"})
		took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dnsblproxy_query_duration_seconds", Help: "Test.", Buckets: []float64{.001, .1},
		}, []string{"path"})
		reg.MustRegister(queries, took)
		queries.WithLabelValues("a.example", "listed").Add(1e6) // before the start: not in the chart
		h := NewHistory(reg, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { h.Run(ctx) })
		synctest.Wait()
		queries.WithLabelValues("a.example", "listed").Add(20)
		queries.WithLabelValues("", "forwarded").Add(5)
		took.WithLabelValues("miss").Observe(.05)
		took.WithLabelValues("forward").Observe(5)
		time.Sleep(historyStep + time.Second) // the bubble's clock
		queries.DeleteLabelValues("a.example", "listed")
		queries.WithLabelValues("b.example", "exempt").Add(30)
		time.Sleep(historyStep)
		cancel()
		wg.Wait()
		columns := h.columns(time.Now(), time.Minute, 6)
		var got []string
		for _, c := range columns {
			got = append(got, fmt.Sprintf("%v %v %v", c.verdicts, c.took.counts, c.sampled))
		}
		want := []string{
			"[0 0 0 0 0 0] [0 0 0] 0s", "[0 0 0 0 0 0] [0 0 0] 0s", "[0 0 0 0 0 0] [0 0 0] 0s",
			"[20 0 0 0 0 5] [0 1 0] 10s", "[0 0 30 0 0 0] [0 0 0] 10s", "[0 0 0 0 0 0] [0 0 0] 0s",
		}
		if !slices.Equal(got, want) {
			t.Errorf("columns:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestHistory_zoneReturns: a zone that a reload takes out and another one brings
// back goes on counting where it was. What it had counted before is no news.
func TestHistory_zoneReturns(t *testing.T) {
	queries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dnsblproxy_queries_total", Help: "Test."}, []string{"zone", "verdict"})
	reg := prometheus.NewRegistry()
	reg.MustRegister(queries)
	h := NewHistory(reg, slog.New(slog.DiscardHandler))
	start := time.Unix(1e9, 0)
	for i, count := range []float64{1e6, 0, 0, 1e6 + 7} {
		queries.Reset()
		if count > 0 {
			queries.WithLabelValues("a.example", "unlisted").Add(count)
		}
		h.take(start.Add(time.Duration(i) * historyStep))
	}
	var total float64
	for _, c := range h.columns(start.Add(4*historyStep), time.Minute, 6) {
		total += c.total()
	}
	if total != 7 {
		t.Errorf("the chart shows %v questions, want 7", total)
	}
}

// TestChart_table has two minutes known of fifteen.
func TestChart_table(t *testing.T) {
	h := NewHistory(nil, nil)
	now := time.Date(2026, 11, 20, 14, 32, 0, 0, time.UTC)
	for i := range 12 {
		s := sample{at: now.Add(time.Duration(i-12)*historyStep + historyStep), took: []uint32{1, 0, 0}}
		s.verdicts[chartKind("listed")], s.verdicts[chartKind("failed")] = uint32(10*i), 5
		h.add(s, []float64{.001, .1})
	}
	var got []string
	for _, r := range h.chart(now.Add(-time.Second), "15m").Table {
		got = append(got, fmt.Sprintf("%s-%s %s %v %v %v", r.From.Format("15:04"), r.To.Format("15:04"), r.Rate, r.Counts, r.Median, r.Slow))
	}
	want := []string{
		"14:31-14:32 9 [510 30] 500µs 990µs", "14:30-14:31 3 [150 30] 500µs 990µs", "14:29-14:30 – [0 0] 0s 0s",
	}
	if len(got) != 15 || !slices.Equal(got[:3], want) {
		t.Errorf("%d rows, the latest %q, want 15 and %q", len(got), got[:min(3, len(got))], want)
	}
}

// TestHistory_bound keeps six hours and no more.
func TestHistory_bound(t *testing.T) {
	h := NewHistory(nil, nil)
	start := sceneNow()
	for i := range historySamples + 500 {
		h.add(sample{at: start.Add(time.Duration(i) * historyStep), verdicts: [len(chartKinds)]uint32{1}}, nil)
	}
	end := start.Add(time.Duration(historySamples+499) * historyStep)
	total := 0.0
	for _, c := range h.columns(end, historySpan, 120) {
		total += c.total()
	}
	if len(h.ring) != historySamples || total < float64(historySamples-18) || total > float64(historySamples) {
		t.Errorf("%d samples are kept, %v are in the chart, want about %d", len(h.ring), total, historySamples)
	}
}

// TestSpread_quantile compares with sorted values: no further off than the
// bucket is wide.
func TestSpread_quantile(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	bounds := []float64{.001, .01, .1, 1}
	for range 50 {
		s := spread{bounds: bounds, counts: make([]float64, 5)}
		var values []float64
		for range 1 + r.IntN(200) {
			v := math.Pow(10, -4+4*r.Float64())
			values = append(values, v)
			i, _ := slices.BinarySearch(bounds, v)
			s.counts[i]++
		}
		slices.Sort(values)
		for _, q := range []float64{.1, .5, .99, 1} {
			exact := values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
			i, _ := slices.BinarySearch(bounds, exact)
			low, high := 0.0, bounds[i]
			if i > 0 {
				low = bounds[i-1]
			}
			if got := s.quantile(q).Seconds(); got < low-1e-9 || got > high+1e-9 {
				t.Fatalf("quantile(%v) = %v, want within (%v, %v], as %v is", q, got, low, high, exact)
			}
		}
	}
	if got := (&spread{}).quantile(.5); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
	over := spread{bounds: bounds, counts: []float64{0, 0, 0, 0, 3}}
	if got := over.quantile(.5); got != time.Second {
		t.Errorf("quantile above the last bound = %v, want that bound", got)
	}
}

func TestTexts(t *testing.T) {
	tests := []struct{ got, want string }{
		{countText(0), "0"}, {countText(999), "999"}, {countText(1000), "1,000"}, {countText(123456), "123,456"}, {countText(1.26e6), "1.3\u00a0M"},
		{addressesText(16_777_216), "16,777,216"}, {addressesText(math.Pow(2, 80)), "≈\u202f2^80"},
		{shareText(0, 0), none}, {shareText(0, 5), "0\u202f%"}, {shareText(1, 100_000), "<\u202f0.1\u202f%"}, {shareText(1, 30), "3.3\u202f%"}, {shareText(5, 5), "100\u202f%"},
		{tookText(0), none}, {tookText(7 * time.Microsecond), "7\u202fµs"}, {tookText(1500 * time.Microsecond), "1.5\u202fms"}, {tookText(12 * time.Second), "12\u202fs"},
		{spanText(59 * time.Second), "59\u202fs"}, {spanText(119 * time.Minute), "119\u202fmin"}, {spanText(-3 * time.Hour), "3\u202fh"}, {spanText(72 * time.Hour), "3 days"},
		{rateText(0), "0"}, {rateText(.25), "0.25"}, {rateText(12.4), "12"}, {rateText(2500), "2,500"},
		{fmt.Sprint(niceTop(0), niceTop(.03), niceTop(2), niceTop(7), niceTop(501)), "1 0.05 2 10 1000"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestFigures_ownTile(t *testing.T) {
	f := figures{own: map[watched]float64{{"out", "a.example"}: 0, {"out", "b.example"}: 2, {"in", "b.example"}: 1}}
	if got, want := f.ownTile(), (tile{"Own addresses", "listed", "in on b.example, out on b.example", true, "#lists"}); got != want {
		t.Errorf("ownTile() = %v, want %v", got, want)
	}
}

func TestFigures_sharedTile(t *testing.T) {
	for _, tt := range []struct {
		shared map[string]float64
		want   tile
	}{
		{map[string]float64{"hit": 75, "miss": 25}, tile{"Shared cache", "75\u202f%", "of what was looked for there", false, "#lists"}},
		{map[string]float64{"hit": 25, "error": 75}, tile{"Shared cache", "25\u202f%", "75\u202f% of the requests failed", true, "#lists"}},
		// Nothing is looked for by a write.
		{map[string]float64{"hit": 75, "miss": 25, "refused": 100}, tile{"Shared cache", "75\u202f%", "50\u202f% of the requests failed", true, "#lists"}},
	} {
		f := figures{shared: tt.shared}
		if got := f.sharedTile(); got != tt.want {
			t.Errorf("sharedTile() of %v = %v, want %v", tt.shared, got, tt.want)
		}
	}
}
