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

// file keeps a history.
type file struct {
	text  []byte
	saved int
	at    time.Time
	err   error
}

// folder is where a recorder keeps what it has.
type folder struct{ whole, latest file }

func (f *folder) file(name string) *file {
	return map[string]*file{wholeName: &f.whole, latestName: &f.latest}[name]
}

func (f *folder) load(name string, h any) (bool, error) {
	file := f.file(name)
	if file.err != nil || file.text == nil {
		return false, file.err
	}
	return true, json.Unmarshal(file.text, h)
}

func (f *folder) save(name string, h any) error { return f.file(name).save(h) }

func (f *file) save(h any) error {
	f.saved++
	f.at = time.Now()
	if f.err != nil {
		return f.err
	}
	var err error
	f.text, err = json.Marshal(h)
	return err
}

func open(f *folder, totals *[]Total, listing func(string) []string) *Recorder {
	return Open(Options{
		Totals: func() []Total { return slices.Clone(*totals) }, Listing: listing,
		Load: f.load, Save: f.save, Log: slog.New(slog.DiscardHandler),
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
		s := &folder{}
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
		r := open(&folder{}, &totals, func(subject string) []string { return have[subject] })
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
	r := open(&folder{}, &totals, nobody)
	for range 2 * maxPending {
		r.Listing("a.test", "192.0.2.1")
	}
	if got := r.Figures(time.Hour)[0].Unique; got != maxPending {
		t.Errorf("%d listings wait, want the bound, %d", got, maxPending)
	}
}

// TestRecorder_saves wants a save each minute, a small one but for one an hour,
// and none for nothing.
func TestRecorder_saves(t *testing.T) {
	s := &folder{}
	totals := []Total{{"a.test", Counts{}}}
	r := open(s, &totals, nobody)
	now := time.Date(2026, 6, 1, 11, 50, 0, 0, time.UTC)
	for minute := range 180 {
		now = now.Add(time.Minute)
		if minute < 3 || minute > 60 { // idle in between
			totals[0].Questions++
		}
		r.count(now)
		r.save(now, false)
		if got := [2]int{s.whole.saved, s.latest.saved}; minute < 60 && got != [2]int{1, min(minute, 2)} {
			t.Errorf("after %d minutes: %v saves, want %v", minute+1, got, [2]int{1, min(minute, 2)})
		}
	}
	if s.whole.saved != 3 || s.latest.saved != 2+118 {
		t.Errorf("after three hours, one of them idle: %d and %d saves, want 3 and 120", s.whole.saved, s.latest.saved)
	}
	if h := (History{}); json.Unmarshal(s.latest.text, &h) != nil || len(h.Buckets) != latestFor+1 {
		t.Errorf("the small file holds %s, want the latest hours", s.latest.text)
	}
}

// TestRecorder_saves_running: Run does so by itself, and once more at its end.
func TestRecorder_saves_running(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			runs time.Duration
			want time.Duration
		}{{90 * time.Second, time.Minute}, {30 * time.Second, 30 * time.Second}} {
			s := &folder{}
			totals := []Total{{"a.test", Counts{Questions: 1}}}
			began := time.Now()
			stop := run(open(s, &totals, nobody))
			time.Sleep(tt.runs)
			stop()
			if took := s.whole.at.Sub(began); s.whole.saved != 1 || took != tt.want {
				t.Errorf("running %v: %d saves, the last after %v, want one after %v", tt.runs, s.whole.saved, took, tt.want)
			}
		}
	})
}

// TestRecorder_killed kills the process at random moments: what was counted a
// minute before is there afterwards, and nothing twice.
func TestRecorder_killed(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	s := &folder{}
	now := time.Date(2026, 6, 1, 11, 50, 0, 0, time.UTC)
	var counted uint64 // and saved
	for life := range 200 {
		totals := []Total{{Zone: "a.test"}}
		r := open(s, &totals, nobody)
		if got := r.history.Figures(now, 400*24*time.Hour, []string{"a.test"})[0].Questions; got != counted {
			t.Fatalf("start %d, at %s: %d questions, want %d", life, now, got, counted)
		}
		for range rnd.IntN(150) {
			now = now.Add(time.Minute)
			if rnd.IntN(5) > 0 {
				totals[0].Questions++
			}
			r.count(now)
			r.save(now, false)
		}
		counted += totals[0].Questions
		now = now.Add(time.Duration(rnd.IntN(100)) * time.Minute)
		if rnd.IntN(10) == 0 {
			now = now.Add(time.Duration(rnd.IntN(20)) * 24 * time.Hour)
		}
	}
	if counted < 1000 {
		t.Errorf("%d questions were counted, which proves little", counted)
	}
}

// TestRecorder_full: what could not be written is, once there is room.
func TestRecorder_full(t *testing.T) {
	s := &folder{}
	s.whole.err = errors.New("no space left")
	totals := []Total{{"a.test", Counts{Questions: 1}}}
	r := open(s, &totals, nobody)
	now := time.Now()
	r.count(now)
	r.save(now, false)
	s.whole.err = nil
	r.save(now.Add(time.Minute), false)
	if s.whole.saved != 2 || s.whole.text == nil {
		t.Errorf("%d attempts kept %q", s.whole.saved, s.whole.text)
	}
}

// TestOpen_damaged: a file that cannot be read takes nothing of the other's.
func TestOpen_damaged(t *testing.T) {
	hour := time.Now().UTC().Truncate(time.Hour)
	kept := func(n uint64) file {
		text, err := json.Marshal(History{Buckets: []Bucket{{hour, 1, map[string]Counts{"a.test": {Questions: n}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return file{text: text}
	}
	broken := file{text: []byte(`{"buckets":[{"start":"2026-01-01T00:00:00Z","zones":{"a.test":{"q":99}}},{"start":7}]}`)}
	for _, tt := range []struct {
		name string
		folder
		want uint64
	}{
		{"both", folder{file{err: errors.New("damaged")}, broken}, 0},
		{"the whole", folder{broken, kept(2)}, 2},
		{"the latest", folder{kept(3), broken}, 3},
		{"neither, the latest is older", folder{kept(3), kept(2)}, 3},
		{"neither, the latest is newer", folder{kept(3), kept(4)}, 4},
		{"no latest", folder{kept(3), file{}}, 3},
	} {
		totals := []Total{{"a.test", Counts{Questions: 1}}}
		r := open(&tt.folder, &totals, nobody)
		want(t, tt.name, r.Figures(400*24*time.Hour), fmt.Sprintf("a.test q%d l0 x0 u0 e0", tt.want+1))
	}
}

// TestHistory_merge_old: an hour that is in a day by now is not counted again.
func TestHistory_merge_old(t *testing.T) {
	now := time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)
	old := now.Add(-20 * 24 * time.Hour)
	var latest, h History
	latest.add(old, "a.test", Counts{Questions: 1})
	h.add(old, "a.test", Counts{Questions: 5})
	for day := range hourlyDays {
		h.add(now.AddDate(0, 0, -day), "a.test", Counts{Questions: 1})
	}
	h.fold()
	if h.Buckets[0].Hours != 24 {
		t.Fatalf("the oldest bucket has %d hours", h.Buckets[0].Hours)
	}
	h.merge(latest)
	want(t, "merged", h.Figures(now, 400*24*time.Hour, nil), "a.test q20 l0 x0 u0 e0")
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
			h.fold()
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
			h.fold()
		}
	}
	h.fold()
	if got := h.Figures(now, 31*24*time.Hour, nil)[0].Questions; got != total {
		t.Errorf("%d questions are left of %d", got, total)
	}
	for i := 1; i < len(h.Buckets); i++ {
		if h.Buckets[i].Start.Before(h.Buckets[i-1].end()) {
			t.Fatalf("buckets overlap: %v (%d h) and %v", h.Buckets[i-1].Start, h.Buckets[i-1].Hours, h.Buckets[i].Start)
		}
	}
}

// TestHistory_ahead: a clock that is years ahead for a moment takes nothing of
// what was counted before, nor of how exactly. What was counted meanwhile is
// not in the figures of every day until then.
func TestHistory_ahead(t *testing.T) {
	now := time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)
	var h History
	for day := range 30 {
		h.add(now.AddDate(0, 0, -day), "a.test", Counts{Questions: 1})
	}
	h.add(now.Add(-5*time.Hour), "a.test", Counts{Questions: 1})
	h.fold()
	before := len(h.Buckets)
	h.add(now.AddDate(20, 0, 0), "a.test", Counts{Questions: 7})
	h.fold()
	h.add(now, "a.test", Counts{Questions: 1})
	h.fold()
	if len(h.Buckets) != before+1 {
		t.Errorf("%d buckets, want the %d of before and one", len(h.Buckets), before)
	}
	want(t, "31 days", h.Figures(now, 31*24*time.Hour, nil), "a.test q32 l0 x0 u0 e0")
	want(t, "3 hours", h.Figures(now, 3*time.Hour, nil), "a.test q2 l0 x0 u0 e0")
	want(t, "3 hours, years later", h.Figures(now.AddDate(20, 0, 0), 3*time.Hour, nil), "a.test q7 l0 x0 u0 e0")
}
