package dataset

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// watched runs body in a bubble with a Store on one ip4set file, which setUp, if
// not nil, has changed.
func watched(t *testing.T, text string, setUp func(*Store), body func(t *testing.T, s *Store, path string)) {
	path := writeFile(t, t.TempDir(), "data", text)
	synctest.Test(t, func(t *testing.T) {
		s := NewStore([]Spec{{IP4Set, []string{path}}}, slog.New(slog.DiscardHandler))
		if setUp != nil {
			setUp(s)
		}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		body(t, s, path)
		cancel()
		<-done
	})
}

// reports is a log that keeps how a Store stood each time it told of that.
type reports struct {
	slog.Handler // of what is not told
	s            *Store
	seen         []Status
}

func (r *reports) follow(s *Store) {
	r.Handler, r.s = slog.DiscardHandler, s
	s.log = slog.New(r)
}

func (r *reports) Enabled(context.Context, slog.Level) bool { return true }

func (r *reports) Handle(_ context.Context, rec slog.Record) error {
	if strings.HasPrefix(rec.Message, "zone files") && rec.Level >= slog.LevelInfo {
		r.seen = append(r.seen, r.s.Status())
	}
	return nil
}

// after lets the bubble's clock run, and all that is due at the new time.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func lists(s *Store, name string) bool {
	z := s.Zone()
	if z == nil {
		return false
	}
	var ans Answer
	lookup(z, wireName(name), TypeA, &ans)
	return len(ans.Codes) > 0
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestStore_change(t *testing.T) {
	watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		before := s.Zone()
		after(10 * time.Second)
		if s.Zone() != before {
			t.Error("the data was replaced although the file did not change")
		}
		next := filepath.Join(filepath.Dir(path), "next")
		overwrite(t, next, "192.0.2.2\n")
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		after(2500 * time.Millisecond)
		if lists(s, "1.2.0.192") || !lists(s, "2.2.0.192") {
			t.Error("a renamed file is not in force after 2.5 s")
		}
	})
}

// TestStore_growing writes a file in pieces, one within every second.
func TestStore_growing(t *testing.T) {
	watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		text := ""
		for range 10 {
			text += "192.0.2.2\n"
			overwrite(t, path, text)
			after(700 * time.Millisecond)
			if lists(s, "2.2.0.192") || !lists(s, "1.2.0.192") {
				t.Fatalf("after %q half a file is in force", text)
			}
		}
		after(2300 * time.Millisecond)
		if !lists(s, "2.2.0.192") {
			t.Error("the file stands still and is not in force")
		}
	})
}

// TestStore_emptied: what curl does to a file that it is told to write to: the
// file is empty until the server answers, and complete a while later.
func TestStore_emptied(t *testing.T) {
	for wait := time.Duration(0); wait < 2*time.Second; wait += 100 * time.Millisecond {
		watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
			after(5*time.Second + wait)
			overwrite(t, path, "")
			for range 9 {
				after(100 * time.Millisecond)
				if !lists(s, "1.2.0.192") {
					t.Fatalf("%v after a look an empty file is in force", wait)
				}
			}
			overwrite(t, path, "192.0.2.1\n192.0.2.2\n")
			after(2500 * time.Millisecond)
			if !lists(s, "1.2.0.192") || !lists(s, "2.2.0.192") {
				t.Errorf("%v after a look: the file stands still and is not in force", wait)
			}
		})
	}
}

// TestStore_restless writes to a file for ever: after a minute that is said,
// once, and the file is taken when it stands still after all.
func TestStore_restless(t *testing.T) {
	var told reports
	watched(t, "192.0.2.1\n", told.follow, func(t *testing.T, s *Store, path string) {
		text, began := "", time.Now()
		for time.Since(began) < 3*time.Minute {
			text += "192.0.2.2\n"
			overwrite(t, path, text)
			after(700 * time.Millisecond)
			err, past := s.Status().Err, time.Since(began)
			if err != nil && past < time.Minute || !errors.Is(err, ErrChanged) && past > 65*time.Second || !lists(s, "1.2.0.192") {
				t.Fatalf("after %v: Err = %v", past, err)
			}
		}
		if err := s.Status().Err; !strings.Contains(err.Error(), path) {
			t.Errorf("Err = %v, want the file's name", err)
		}
		after(2300 * time.Millisecond)
		if err := s.Status().Err; err != nil || !lists(s, "2.2.0.192") {
			t.Errorf("the file stands still and is not in force: %v", err)
		}
	})
	if n := len(told.seen); n != 3 {
		t.Errorf("reported %d times, want good, restless and good", n)
	}
}

// unseen changes an opened file such that no stat shows it, and looks at it for a
// while.
func unseen(t *testing.T, s *Store, path, text string, wait time.Duration) {
	t.Helper()
	overwrite(t, path, text)
	now, err := s.stat()
	if err != nil {
		t.Fatal(err)
	}
	s.tried[0].stamp = now[0].stamp
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(poll) {
		s.poll(t.Context())
	}
}

// TestStore_sameStat: a write within the clock's grain shows in no stat.
func TestStore_sameStat(t *testing.T) {
	path := writeFile(t, t.TempDir(), "data", "192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		s := NewStore([]Spec{{IP4Set, []string{path}}}, slog.New(slog.DiscardHandler))
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		unseen(t, s, path, "192.0.2.2\n", time.Second)
		if !lists(s, "2.2.0.192") {
			t.Error("it went unseen")
		}
	})
}

// TestStore_sameTime: what keeps the time of modification and the size, as a copy with
// its times may, is a change all the same, however long the file was at rest.
func TestStore_sameTime(t *testing.T) {
	watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		after(time.Minute)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, path, "192.0.2.2\n")
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		after(2500 * time.Millisecond)
		if !lists(s, "2.2.0.192") {
			t.Error("the change went unseen")
		}
	})
}

// TestStore_mended: a file that was no good is read again after a while, and
// not before: that a disk reads what it did not shows in no stat.
func TestStore_mended(t *testing.T) {
	path := writeFile(t, t.TempDir(), "data", "example.com\n")
	synctest.Test(t, func(t *testing.T) {
		s := NewStore([]Spec{{IP4Set, []string{path}}}, slog.New(slog.DiscardHandler))
		s.poll(t.Context())
		if err := s.Status().Err; !errors.Is(err, ErrMostlyBad) {
			t.Fatal(err)
		}
		unseen(t, s, path, "192.0.2.255\n", again-time.Second)
		if lists(s, "255.2.0.192") {
			t.Error("the disk was not left alone")
		}
		time.Sleep(time.Second)
		s.poll(t.Context())
		if err := s.Status().Err; err != nil || !lists(s, "255.2.0.192") {
			t.Errorf("a file that can be read is not in force: %v", err)
		}
	})
}

func TestStore_broken(t *testing.T) {
	tests := []struct {
		name string
		harm func(t *testing.T, path string)
		want string // in the error
	}{
		{"gone", func(t *testing.T, path string) { os.Remove(path) }, "no such file"},
		{"another type", func(t *testing.T, path string) {
			overwrite(t, path, "example.com\nexample.org\n192.0.2.2\n")
		}, "more lines are bad than good: 2 against 1; is it a ip4set file?"},
		{"a folder", func(t *testing.T, path string) {
			os.Remove(path)
			os.Mkdir(path, 0o755)
		}, "no regular file"},
		{"a pipe that nobody writes to", func(t *testing.T, path string) {
			os.Remove(path)
			syscall.Mkfifo(path, 0o644)
		}, "no regular file"},
		{"meant for tomorrow", func(t *testing.T, path string) {
			overwrite(t, path, "$TIMESTAMP 2000:01:02\n192.0.2.2\n")
		}, "in the future"},
		{"cut gzip", func(t *testing.T, path string) { overwrite(t, path, "\x1f\x8b\x08\x00") }, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told reports
			watched(t, "192.0.2.1\n", told.follow, func(t *testing.T, s *Store, path string) {
				after(time.Second) // the looks come every two
				tt.harm(t, path)
				after(9 * time.Second)
				if n := len(told.seen); n != 2 {
					t.Errorf("reported %d times, want twice: once good, once broken", n)
				}
				st := s.Status()
				if st.Err == nil || !strings.Contains(st.Err.Error(), tt.want) || !strings.Contains(st.Err.Error(), path) {
					t.Errorf("Status().Err = %v, want the file and %q", st.Err, tt.want)
				}
				if !lists(s, "1.2.0.192") || st.Zone != s.Zone() {
					t.Error("the last good data is not in force")
				}
				if began := time.Now().Add(-8 * time.Second); !st.Since.Equal(began) {
					t.Errorf("broken since %v, want %v", st.Since, began)
				}
				os.Remove(path)
				overwrite(t, path, "192.0.2.3\n")
				after(5 * time.Second)
				if st := s.Status(); st.Err != nil || !lists(s, "3.2.0.192") {
					t.Errorf("the mended file is not in force: %v", st.Err)
				}
			})
		})
	}
}

// TestStore_back: a file that is gone for a while and comes back as it was is as
// good as before.
func TestStore_back(t *testing.T) {
	watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		after(5 * time.Second)
		for _, move := range [][2]string{{path, path + ".away"}, {path + ".away", path}} {
			if err := os.Rename(move[0], move[1]); err != nil {
				t.Fatal(err)
			}
			after(5 * time.Second)
			if st := s.Status(); (st.Err != nil) != (move[0] == path) || !lists(s, "1.2.0.192") {
				t.Errorf("moved to %s: Err = %v", move[1], st.Err)
			}
		}
	})
}

// TestStore_tomorrow takes data in when the time that it is meant for has come.
func TestStore_tomorrow(t *testing.T) {
	watched(t, "192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		overwrite(t, path, "$TIMESTAMP 2000:01:01:00:01:00\n192.0.2.2\n")
		after(55 * time.Second)
		if lists(s, "2.2.0.192") {
			t.Error("data from the future is in force")
		}
		after(10 * time.Second)
		if !lists(s, "2.2.0.192") {
			t.Error("the data's time has come and it is not in force")
		}
	})
}

func TestStore_expiry(t *testing.T) {
	watched(t, "$TIMESTAMP 1999:12:31 2000:01:01:00:01:00\n192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
		after(59 * time.Second)
		if !lists(s, "1.2.0.192") {
			t.Error("the data is not in force before its end")
		}
		after(4 * time.Second)
		if s.Zone() != nil || !errors.Is(s.Status().Err, ErrExpired) {
			t.Errorf("expired data is in force: %v", s.Status().Err)
		}
		overwrite(t, path, "192.0.2.2\n")
		after(3 * time.Second)
		if !lists(s, "2.2.0.192") {
			t.Error("new data is not in force after the old ones expired")
		}
	})
}

// TestStore_expiryClock: data that a wrong clock has put out of force is back
// once the clock is right, though its file has not changed.
func TestStore_expiryClock(t *testing.T) {
	var ahead atomic.Int64
	var told reports
	setUp := func(s *Store) {
		told.follow(s)
		s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	watched(t, "$TIMESTAMP 1999:12:31 2000:01:02\n192.0.2.1\n", setUp, func(t *testing.T, s *Store, path string) {
		ahead.Store(int64(48 * time.Hour))
		after(3*again + 2*time.Second)
		if n := len(told.seen); s.Zone() != nil || n != 2 {
			t.Errorf("by the wrong clock it is in force, or reported %d times", n)
		}
		ahead.Store(0)
		after(again + 5*time.Second)
		if st := s.Status(); st.Err != nil || !lists(s, "1.2.0.192") {
			t.Errorf("by the right clock it is not in force: %v", st.Err)
		}
	})
}

// TestStore_expiryBroken: data ends when it said, whatever has become of its
// file since.
func TestStore_expiryBroken(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, path string)
	}{
		{"gone", func(t *testing.T, path string) { os.Remove(path) }},
		{"for tomorrow", func(t *testing.T, path string) { overwrite(t, path, "$TIMESTAMP 2000:01:02\n192.0.2.2\n") }},
		{"another type", func(t *testing.T, path string) { overwrite(t, path, "example.com\n") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			watched(t, "$TIMESTAMP 1999:12:31 2000:01:01:00:01:00\n192.0.2.1\n", nil, func(t *testing.T, s *Store, path string) {
				tt.harm(t, path)
				after(59 * time.Second)
				if !lists(s, "1.2.0.192") {
					t.Error("the data is not in force before its end")
				}
				after(4 * time.Second)
				if st := s.Status(); s.Zone() != nil || st.Zone != nil || !errors.Is(st.Err, ErrExpired) {
					t.Errorf("expired data is in force: %v", st.Err)
				}
				after(4 * time.Second)
				overwrite(t, path, "192.0.2.2\n")
				after(5 * time.Second)
				if st := s.Status(); st.Err != nil || !lists(s, "2.2.0.192") {
					t.Errorf("new data is not in force after the old ones expired: %v", st.Err)
				}
			})
		})
	}
}

// TestStore_late starts without a file.
func TestStore_late(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		var told reports
		s := NewStore([]Spec{{IP4Set, []string{path}}}, nil)
		told.follow(s)
		if err := s.Open(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Open = %v, want %v", err, os.ErrNotExist)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		after(7 * time.Second)
		overwrite(t, path, "192.0.2.1\n bad\n192.0.2.2\n")
		after(3 * time.Second)
		cancel()
		<-done
		if !lists(s, "1.2.0.192") {
			t.Error("a file that came late is not in force")
		}
		last := told.seen[len(told.seen)-1]
		if last.Err != nil || len(last.Problems) != 1 || last.Problems[0] != (Problem{path, 2, errAddress.Error()}) {
			t.Errorf("last status = %+v", last)
		}
		if n := len(told.seen); n > 3 {
			t.Errorf("%d statuses, want no more than one per change", n)
		}
	})
}

// TestStore_logsSkippedLines: some by themselves, and how many more there are.
func TestStore_logsSkippedLines(t *testing.T) {
	path := writeFile(t, t.TempDir(), "data", strings.Repeat("x\n192.0.2.1\n", 500))
	var log bytes.Buffer
	s := NewStore([]Spec{{IP4Set, []string{path}}}, slog.New(slog.NewTextHandler(&log, nil)))
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := log.String()
	if n := strings.Count(text, "level=WARN"); n != maxProblems+1 || !strings.Contains(text, "480 more lines were skipped") {
		t.Errorf("%d lines of warnings, want %d and that 480 more were skipped:\n%s", n, maxProblems+1, text)
	}
}
