package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// shelf keeps a history as a file would.
type shelf struct {
	text  []byte
	saved int
	err   error
}

func (s *shelf) load(h *History) (bool, error) {
	if s.err != nil || s.text == nil {
		return false, s.err
	}
	return true, json.Unmarshal(s.text, h)
}

func (s *shelf) save(h History) error {
	s.saved++
	var err error
	s.text, err = json.Marshal(h)
	return err
}

func open(s *shelf, totals *[]Total, listing func(string) []string) *Recorder {
	return Open(Options{
		Totals: func() []Total { return slices.Clone(*totals) }, Listing: listing,
		Load: s.load, Save: s.save, Log: slog.New(slog.DiscardHandler),
	})
}

func nobody(string) []string { return nil }

// run runs r until stop is called, which waits for its end.
func run(r *Recorder) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

func line(f Figures) string {
	return fmt.Sprintf("%s q%d l%d x%d u%d e%d", f.Zone, f.Questions, f.Listings, f.Exempted, f.Unique, f.Errors)
}

func lines(all []Figures) (out []string) {
	for _, f := range all {
		out = append(out, line(f))
	}
	return out
}

func want(t *testing.T, what string, got []Figures, lns ...string) {
	t.Helper()
	if !slices.Equal(lines(got), lns) {
		t.Errorf("%s: %q, want %q", what, lines(got), lns)
	}
}

// TestRecorder_restart counts over a restart, after which totals begin at 0.
func TestRecorder_restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		totals := []Total{{"a.test", Counts{Questions: 10, Listings: 3, Exempted: 1, Errors: 2}}, {Zone: "b.test"}}
		r := open(s, &totals, nobody)
		stop := run(r)
		r.Listing("a.test", "192.0.2.1")
		want(t, "at once", r.Figures(time.Hour), "a.test q10 l3 x1 u1 e2", "b.test q0 l0 x0 u0 e0")
		time.Sleep(time.Minute)
		want(t, "a minute later", r.Figures(time.Hour), "a.test q10 l3 x1 u1 e2", "b.test q0 l0 x0 u0 e0")
		synctest.Wait() // whatever runs at this moment has read them
		totals[0].Questions = 12
		stop()

		// The other zone is gone; what was counted of it is not.
		totals = []Total{{"b.test", Counts{Questions: 1}}}
		r = open(s, &totals, nobody)
		stop = run(r)
		want(t, "after a restart", r.Figures(time.Hour), "b.test q1 l0 x0 u0 e0", "a.test q12 l3 x1 u1 e2")
		time.Sleep(3 * time.Hour)
		want(t, "an hour of which nothing is known", r.Figures(time.Hour), "b.test q0 l0 x0 u0 e0")
		want(t, "four hours", r.Figures(4*time.Hour), "b.test q1 l0 x0 u0 e0", "a.test q12 l3 x1 u1 e2")
		stop()
	})
}

// TestRecorder_unique has two lists with one address in common; the second
// list's answer comes later.
func TestRecorder_unique(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var totals []Total
		have := map[string][]string{"192.0.2.1": {"a.test"}, "192.0.2.2": {"a.test"}}
		r := open(&shelf{}, &totals, func(subject string) []string { return have[subject] })
		totals = []Total{{Zone: "a.test"}, {Zone: "b.test"}}
		r.Listing("a.test", "192.0.2.1")
		r.Listing("a.test", "192.0.2.2")
		want(t, "before the other list answered", r.Figures(time.Hour), "a.test q0 l0 x0 u2 e0", "b.test q0 l0 x0 u0 e0")
		have["192.0.2.2"] = []string{"a.test", "b.test"}
		r.Listing("b.test", "192.0.2.2")
		stop := run(r)
		time.Sleep(judgeAfter + judgeEvery)
		synctest.Wait()
		if len(r.pending) != 0 {
			t.Errorf("%d listings are not judged yet", len(r.pending))
		}
		want(t, "after it", r.Figures(time.Hour), "a.test q0 l0 x0 u1 e0", "b.test q0 l0 x0 u0 e0")
		stop()
	})
}

func TestRecorder_boundedPending(t *testing.T) {
	totals := []Total{{Zone: "a.test"}}
	r := open(&shelf{}, &totals, nobody)
	for range 2 * maxPending {
		r.Listing("a.test", "192.0.2.1")
	}
	if got := r.Figures(time.Hour)[0].Unique; got != maxPending {
		t.Errorf("%d listings wait, want the bound, %d", got, maxPending)
	}
}

// TestRecorder_saves wants a save every five minutes, and none for nothing.
func TestRecorder_saves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		totals := []Total{{"a.test", Counts{Questions: 1}}}
		r := open(s, &totals, nobody)
		stop := run(r)
		time.Sleep(saveEvery + time.Second)
		synctest.Wait()
		if s.saved != 1 {
			t.Errorf("saved %d times in five minutes, want 1", s.saved)
		}
		time.Sleep(time.Hour)
		stop()
		if s.saved != 1 {
			t.Errorf("saved %d times, want 1: nothing more was counted", s.saved)
		}
	})
}

func TestOpen_damaged(t *testing.T) {
	totals := []Total{{"a.test", Counts{Questions: 1}}}
	r := open(&shelf{err: errors.New("damaged")}, &totals, nobody)
	want(t, "after a damaged file", r.Figures(time.Hour), "a.test q1 l0 x0 u0 e0")
}

// TestHistory_year counts one question an hour for 500 days: nothing of the
// last 400 may be lost, and the buckets stay few.
func TestHistory_year(t *testing.T) {
	var h History
	start := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)
	now := start
	for ; now.Before(start.Add(500 * 24 * time.Hour)); now = now.Add(time.Hour) {
		h.add(now, "a.test", Counts{Questions: 1})
		if now.Hour() == 0 {
			h.fold(now)
		}
	}
	now = now.Add(-time.Hour)
	if n, most := len(h.Buckets), 14*24+24+400; n > most {
		t.Errorf("%d buckets, want at most %d", n, most)
	}
	for _, days := range []int{1, 7, 13, 30, 399} {
		got := h.Figures(now, time.Duration(days)*24*time.Hour, nil)[0].Questions
		// The first bucket counts whole: an hour, or a day when it is old.
		if least := uint64(days * 24); got < least || got > least+24 {
			t.Errorf("%d days: %d questions, want %d, or up to a day more", days, got, least)
		}
	}
	if !slices.IsSortedFunc(h.Buckets, func(a, b Bucket) int { return a.Start.Compare(b.Start) }) {
		t.Error("buckets are out of order")
	}
}

// TestHistory_anyOrder adds at random times, as a clock that is set does, and
// folds at random: within the 14 days everything is there.
func TestHistory_anyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	var h History
	var total uint64
	for range 2000 {
		at := now.Add(-time.Duration(rnd.Int64N(int64(30 * 24 * time.Hour))))
		h.add(at, "a.test", Counts{Questions: 1})
		total++
		if rnd.IntN(20) == 0 {
			h.fold(now)
		}
	}
	h.fold(now)
	if got := h.Figures(now, 31*24*time.Hour, nil)[0].Questions; got != total {
		t.Errorf("%d questions are left of %d", got, total)
	}
	for i := 1; i < len(h.Buckets); i++ {
		if h.Buckets[i].Start.Before(h.Buckets[i-1].end()) {
			t.Fatalf("buckets overlap: %v (%d h) and %v", h.Buckets[i-1].Start, h.Buckets[i-1].Hours, h.Buckets[i].Start)
		}
	}
}
