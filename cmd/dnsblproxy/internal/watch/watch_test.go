package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// scene is a Watcher with lists, a kept file and a command of the test's.
type scene struct {
	mu     sync.Mutex
	lists  map[string]Answer // "zone address"; unlisted if not there
	asked  []time.Time
	file   []byte
	told   []Facts
	fail   error
	slow   time.Duration // how long the command takes
	side   int           // commands that run now
	most   int           // and at most
	log    bytes.Buffer
	w      *Watcher
	stop   func()
	zones  []Zone
	every  time.Duration
	notify []string
	hook   string
	posts  http.RoundTripper
}

func newScene() *scene {
	return &scene{
		lists: map[string]Answer{}, every: 15 * time.Minute, notify: []string{"page"},
		zones: []Zone{{"a.test", "https://a.test/remove"}, {"b.test", ""}},
	}
}

// start runs a Watcher on the scene, as a start of the server does.
func (s *scene) start() {
	s.w = New(Options{
		Ask: s.ask, Load: s.load, Save: s.save, Command: s.command, Transport: s.posts, UserAgent: "test",
		Log: slog.New(slog.NewTextHandler(&s.log, nil)), Registerer: prometheus.NewRegistry(),
	})
	s.w.Set([]Watch{{
		Name: "out", Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.25"), netip.MustParseAddr("2001:db8::25")},
		Zones: s.zones, Every: s.every, Notify: s.notify, Webhook: s.hook,
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		s.w.Run(ctx)
		close(done)
	}()
	s.stop = func() {
		cancel()
		<-done
	}
}

func (s *scene) ask(_ context.Context, zone string, a netip.Addr) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, time.Now())
	if answer, ok := s.lists[zone+" "+a.String()]; ok {
		return answer
	}
	return Answer{Known: true}
}

func (s *scene) set(zone, addr string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists[zone+" "+addr] = a
}

func (s *scene) load(st *State) (bool, error) {
	if s.file == nil {
		return false, nil
	}
	return true, json.Unmarshal(s.file, st)
}

func (s *scene) save(st State) error {
	var err error
	s.file, err = json.Marshal(st)
	return err
}

func (s *scene) command(ctx context.Context, _ []string, input []byte) error {
	s.mu.Lock()
	s.side++
	s.most = max(s.most, s.side)
	s.mu.Unlock()
	select {
	case <-time.After(s.slow):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.side--
	if s.fail != nil || ctx.Err() != nil {
		return errors.Join(s.fail, ctx.Err())
	}
	var f Facts
	if err := json.Unmarshal(input, &f); err != nil {
		return err
	}
	s.told = append(s.told, f)
	return nil
}

// events are what was told since the last call.
func (s *scene) events() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, f := range s.told {
		out = append(out, f.Event+" "+f.Zone+" "+f.Address)
	}
	s.told = nil
	return out
}

func (s *scene) want(t *testing.T, what string, events ...string) {
	t.Helper()
	if got := s.events(); !slices.Equal(got, events) {
		t.Errorf("%s: told %q, want %q", what, got, events)
	}
}

func (s *scene) gauge(zone string) float64 {
	return testutil.ToFloat64(s.w.listed.WithLabelValues("out", zone))
}

func (s *scene) count(result string) float64 {
	return testutil.ToFloat64(s.w.told.WithLabelValues("out", result))
}

var onList = Answer{Known: true, Listed: true, Codes: []string{"127.0.0.2 (SBL)"}, Text: "see a.test"}

// TestWatcher_timeline goes through a listing, a restart, an outage and a
// delisting.
func TestWatcher_timeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.start()
		time.Sleep(time.Minute)
		s.want(t, "unlisted from the start")

		s.set("a.test", "203.0.113.25", onList)
		time.Sleep(s.every)
		synctest.Wait()
		if len(s.told) != 1 || s.told[0].Removal != "https://a.test/remove" || s.told[0].Text != "see a.test" ||
			s.told[0].Watch != "out" || len(s.told[0].Codes) != 1 || s.told[0].Since.IsZero() {
			t.Errorf("told %+v", s.told)
		}
		s.want(t, "listed", "listed a.test 203.0.113.25")
		if told, failed := s.count(resultTold), s.count(resultFailed); told != 1 || failed != 0 {
			t.Errorf("counted %v told and %v failed, want 1 and 0", told, failed)
		}
		if s.gauge("a.test") != 1 || s.gauge("b.test") != 0 {
			t.Errorf("metric %v and %v, want 1 and 0", s.gauge("a.test"), s.gauge("b.test"))
		}
		time.Sleep(10 * s.every)
		s.want(t, "still listed")

		s.stop()
		s.start()
		if s.gauge("a.test") != 1 {
			t.Error("after a restart the metric does not know of the listing")
		}
		time.Sleep(2 * s.every)
		s.want(t, "after a restart")

		s.set("a.test", "203.0.113.25", Answer{})
		time.Sleep(2 * s.every)
		s.want(t, "while the list cannot be asked")

		s.set("a.test", "203.0.113.25", Answer{Known: true})
		time.Sleep(s.every)
		s.want(t, "delisted", "delisted a.test 203.0.113.25")
		if s.gauge("a.test") != 0 {
			t.Error("the metric still counts what was delisted")
		}
		s.stop()
		if got := string(s.file); got != "[]" {
			t.Errorf("kept %s, want nothing", got)
		}
		for _, line := range []string{`"own address listed"`, `removal=https://a.test/remove`, `"own address delisted"`} {
			if !strings.Contains(s.log.String(), line) {
				t.Errorf("the log lacks %s:\n%s", line, s.log.String())
			}
		}
	})
}

// TestWatcher_retries has a command that fails, over a restart too.
func TestWatcher_retries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.set("b.test", "2001:db8::25", onList)
		s.fail = errors.New("no network")
		s.start()
		time.Sleep(3 * s.every)
		s.want(t, "while the command fails")
		if n := s.count(resultFailed); n != 3 {
			t.Errorf("counted %v failures, want one for each look", n)
		}
		s.stop()
		s.fail = nil
		s.start()
		time.Sleep(s.every)
		s.want(t, "when it works again", "listed b.test 2001:db8::25")
		time.Sleep(3 * s.every)
		s.want(t, "afterwards")
		s.stop()
	})
}

// TestWatcher_noOverlap has a command that hangs: the others wait for it, and
// the end of the server does not wait long.
func TestWatcher_noOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.slow = time.Hour
		for _, z := range s.zones {
			s.set(z.Name, "203.0.113.25", onList)
		}
		s.start()
		time.Sleep(s.every)
		synctest.Wait()
		if s.most != 1 {
			t.Errorf("%d commands ran at a time, want 1", s.most)
		}
		s.want(t, "of commands that were ended")
		s.set("a.test", "203.0.113.25", Answer{Known: true})
		time.Sleep(s.every + time.Second) // in the midst of the next command
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > commandEnd {
			t.Errorf("the end waited %v for a command", took)
		}
	})
}

// TestWatcher_spread wants the questions of a round spread evenly, from the
// second round on, and a first look without delay.
func TestWatcher_spread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.start()
		began := time.Now()
		time.Sleep(3*s.every - time.Second)
		s.stop()
		var got []string
		for _, at := range s.asked {
			got = append(got, at.Sub(began).String())
		}
		want := "[0s 100ms 200ms 300ms 15m0s 18m45s 22m30s 26m15s 30m0s 33m45s 37m30s 41m15s]"
		if fmt.Sprint(got) != want {
			t.Errorf("asked at %v, want %v", got, want)
		}
	})
}

// TestWatcher_set takes a zone out and another in while it runs.
func TestWatcher_set(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.set("a.test", "203.0.113.25", onList)
		s.set("c.test", "203.0.113.25", onList)
		s.start()
		time.Sleep(time.Minute)
		s.want(t, "at first", "listed a.test 203.0.113.25")
		s.w.Set([]Watch{{
			Name: "out", Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.25")},
			Zones: []Zone{{"c.test", ""}}, Every: s.every, Notify: s.notify,
		}})
		time.Sleep(time.Minute)
		s.want(t, "with another zone", "listed c.test 203.0.113.25")
		if n := testutil.CollectAndCount(s.w.listed); n != 1 {
			t.Errorf("%d series, want that of the new zone alone", n)
		}
		s.stop()
		if strings.Contains(string(s.file), "a.test") {
			t.Errorf("kept %s: what is not watched any more", s.file)
		}
	})
}

// TestWatcher_setCommand mends a command that was one text with its argument.
func TestWatcher_setCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.set("a.test", "203.0.113.25", onList)
		s.fail = errors.New("no such file")
		s.notify = []string{"page postmaster"}
		s.start()
		time.Sleep(time.Minute)
		mended := slices.Clone(s.w.watches)
		mended[0].Notify = []string{"page", "postmaster"}
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		s.w.Set(mended)
		time.Sleep(time.Minute)
		s.want(t, "with the command that is there", "listed a.test 203.0.113.25")
		s.stop()
	})
}

func TestWatcher_withoutCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.notify = nil
		s.set("a.test", "203.0.113.25", onList)
		s.start()
		time.Sleep(time.Minute)
		s.stop()
		s.want(t, "without a command")
		if s.gauge("a.test") != 1 || strings.Count(s.log.String(), "own address listed") != 1 {
			t.Errorf("metric %v, log:\n%s", s.gauge("a.test"), s.log.String())
		}
	})
}

// TestWatcher_commandGoes takes out a command that has always failed, and so
// has something to tell still.
func TestWatcher_commandGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.set("a.test", "203.0.113.25", onList)
		s.fail = errors.New("no network")
		s.start()
		time.Sleep(time.Minute)
		s.stop()
		s.fail, s.notify = nil, nil
		s.start()
		time.Sleep(time.Minute)
		s.stop()
		s.want(t, "without a command")
		if !strings.Contains(string(s.file), `"told":true`) {
			t.Errorf("kept %s: somebody is to be told still", s.file)
		}
	})
}

func TestRunCommand(t *testing.T) {
	t.Setenv("DQS_KEY", "hush")
	out := filepath.Join(t.TempDir(), "out")
	script := `cat > "$0"; env >> "$0"; echo "$1" >> "$0"`
	if err := runCommand(t.Context(), []string{"/bin/sh", "-c", script, out, "a b; $(c)"}, []byte("facts\n")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"facts\n", "PATH=/usr", "a b; $(c)\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the command saw %q, want %q in it", text, want)
		}
	}
	if strings.Contains(string(text), "hush") {
		t.Error("the command got our environment")
	}
	err = runCommand(t.Context(), []string{"/bin/sh", "-c", "echo no network; exit 3"}, nil)
	if err == nil || !strings.Contains(err.Error(), `exit status 3; it said "no network"`) {
		t.Errorf("a failing command: %v", err)
	}
	if err := runCommand(t.Context(), []string{"/nonexistent/page"}, nil); err == nil {
		t.Error("a command that is not there did not fail")
	}
}

// TestRunCommand_ends wants the children of a command ended with it.
func TestRunCommand_ends(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := runCommand(ctx, []string{"/bin/sh", "-c", "sleep 60 & sleep 60"}, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want a deadline", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("ending it took %v", took)
	}
}
