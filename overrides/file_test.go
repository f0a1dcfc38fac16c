package overrides

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// write puts a rule file in place as an editor does that renames over it, a moment
// after it has written it.
func write(t *testing.T, path, text string) {
	t.Helper()
	part := path + ".new"
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(part)
	if err != nil {
		t.Fatal(err)
	}
	before := info.ModTime().Add(-10 * time.Millisecond)
	if err := errors.Join(os.Chtimes(part, before, before), os.Rename(part, path)); err != nil {
		t.Fatal(err)
	}
}

func fileRule(path string) Rule { return allow(func(r *Rule) { r.File = path }) }

func TestFile_change_is_in_force_within_3s(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		tl := start(t, nil, Options{}, fileRule(path))
		tl.want("at start", "+192.0.2.1", "-192.0.2.2")
		table := tl.Table()
		tl.elapse(time.Minute)
		if tl.Table() != table {
			t.Error("an unchanged file made a new table")
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Minute)
		if age := time.Since(tl.status().LastSuccess); age > pollEvery {
			t.Errorf("it was confirmed %s ago, want at the latest look", age)
		}
		write(t, path, "192.0.2.2 # instead\n")
		tl.elapse(3 * time.Second)
		tl.want("after a rename", "-192.0.2.1", "+192.0.2.2")
		if err := os.WriteFile(path, []byte("192.0.2.3\n"), 0o600); err != nil { // in place
			t.Fatal(err)
		}
		tl.elapse(3 * time.Second)
		tl.want("after writing in place", "-192.0.2.2", "+192.0.2.3")
		write(t, path, "# nobody\n")
		tl.elapse(3 * time.Second)
		tl.want("emptied on purpose", "-192.0.2.3")
		if n := tl.log.count("opens nothing any more"); n != 1 {
			t.Errorf("that is in the log %d times, want once\n%s", n, tl.log.b.String())
		}
	})
}

// TestFile_status: a file that stands still is confirmed with every look, and
// one that stays broken goes on failing, by which alerts know the two.
func TestFile_status(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		tl := start(t, nil, Options{}, fileRule(path))
		tl.elapse(30 * time.Hour)
		if st := tl.status(); time.Since(st.LastSuccess) > 3*time.Second || st.Failures != 0 {
			t.Errorf("good for 30 h: confirmed %s ago, %d failures", time.Since(st.LastSuccess), st.Failures)
		}
		write(t, path, "192.0.2.5/24\n")
		old := time.Now().Add(-time.Hour) // by this clock, so that it is read once
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		tl.elapse(5*time.Hour + time.Minute)
		if st := tl.status(); time.Since(st.LastSuccess) < 5*time.Hour || st.Failures != 6 {
			t.Errorf("broken for 5 h: confirmed %s ago, %d failures, want one an hour", time.Since(st.LastSuccess), st.Failures)
		}
		if n := tl.log.count("rule source failed"); n != 1 {
			t.Errorf("that is in the log %d times, want once", n)
		}
	})
}

func TestFile_broken_or_gone_keeps_the_last_good(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		tl := start(t, nil, Options{}, fileRule(path))
		write(t, path, "192.0.2.2\n192.0.2.5/24\n")
		tl.elapse(time.Minute)
		tl.want("broken", "+192.0.2.1", "-192.0.2.2")
		if n := tl.log.count("efax.txt:2: 192.0.2.5/24 has host bits set"); n != 1 {
			t.Errorf("the fault is in the log %d times, want once\n%s", n, tl.log.b.String())
		}
		if err := tl.Replace([]Rule{fileRule(path)}); err != nil {
			t.Errorf("a reload while the file is broken: %v", err)
		}
		tl.want("reloaded while broken", "+192.0.2.1")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Minute)
		tl.want("gone", "+192.0.2.1")
		if n := tl.log.count("does not exist"); n != 1 {
			t.Errorf("the loss is in the log %d times, want once", n)
		}
		write(t, path, "192.0.2.3\n")
		tl.elapse(3 * time.Second)
		tl.want("back", "-192.0.2.1", "+192.0.2.3")
		if tl.log.count("recovered") != 1 || tl.status().LastError != "" {
			t.Errorf("no recovery: %+v", tl.status())
		}
	})
}

// What a job writes line by line, after the shell has emptied or made the file for
// it, is read when it is whole; what is renamed over it, at once.
func TestFile_written_slowly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	synctest.Test(t, func(t *testing.T) {
		write(t, path, "192.0.2.1\n192.0.2.2\n192.0.2.3\n")
		tl := start(t, nil, Options{}, fileRule(path))
		tl.elapse(time.Minute)
		fill := func(when string) {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for i := range 4 {
				tl.elapse(900 * time.Millisecond)
				tl.want(when, "+192.0.2.1", "+192.0.2.2", "+192.0.2.3", "-192.0.2.4")
				fmt.Fprintf(f, "192.0.2.%d\n", i+2)
			}
			tl.elapse(3 * time.Second)
			tl.want(when+", whole", "-192.0.2.1", "+192.0.2.2", "+192.0.2.5")
			write(t, path, "192.0.2.1\n192.0.2.2\n192.0.2.3\n")
			tl.elapse(3 * time.Second)
		}
		fill("emptied and written")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		tl.elapse(3 * time.Second)
		fill("removed and written")
		if err := os.Rename(path, path+"~"); err != nil {
			t.Fatal(err)
		}
		fill("moved aside and written")
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		tl.elapse(3 * time.Second)
		tl.want("emptied", "-192.0.2.2")
		for i := range 40 {
			write(t, path, fmt.Sprintf("192.0.2.%d\n", i))
			tl.elapse(1100 * time.Millisecond)
			tl.want("renamed over it again and again", fmt.Sprintf("+192.0.2.%d", i))
		}
		table, tables := tl.Table(), 0
		for i := range 40 {
			if err := errors.Join(os.WriteFile(path+".new", fmt.Appendf(nil, "192.0.2.%d\n", i), 0o600), os.Rename(path+".new", path)); err != nil {
				t.Fatal(err)
			}
			tl.elapse(1100 * time.Millisecond)
			if tl.Table() != table {
				table, tables = tl.Table(), tables+1
			}
		}
		if tables < 20 {
			t.Errorf("of 40 files renamed over it as soon as they were written %d came into force, want each second one", tables)
		}
		if n := tl.log.count("rule source failed"); n != 1 { // when it was removed
			t.Errorf("the log tells of %d failures, want one:\n%s", n, tl.log.b.String())
		}
	})
}

// A job that is about to write a file, after a boot perhaps, keeps no server from
// starting: it would not be started again. A reload is refused for that as for any
// other fault, and so is a start with a file at rest.
func TestFile_written_at_the_start(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	part := func() {
		write(t, path, "192.0.2.1\n192.0.2.")
		go func() {
			time.Sleep(300 * time.Millisecond)
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			for _, s := range []string{"2\n192.", "0.", "2.3\n"} {
				fmt.Fprint(f, s)
				time.Sleep(900 * time.Millisecond)
			}
		}()
	}
	synctest.Test(t, func(t *testing.T) {
		part()
		tl := start(t, nil, Options{}, fileRule(path))
		tl.elapse(5 * time.Second)
		tl.want("whole", "+192.0.2.1", "+192.0.2.2", "+192.0.2.3")
		if !isReady(tl.Engine) || tl.log.count("rule source failed") > 0 {
			t.Errorf("ready: %t\n%s", isReady(tl.Engine), tl.log.b.String())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		part()
		tl := start(t, nil, Options{})
		if err := tl.Replace([]Rule{fileRule(path)}); err == nil || !strings.Contains(err.Error(), "being written") {
			t.Errorf("a reload meanwhile: %v", err)
		}
		tl.elapse(5 * time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		write(t, path, "192.0.2.1\n192.0.2.")
		began := time.Now()
		if _, err := Open([]Rule{fileRule(path)}, Options{}); err == nil || !strings.Contains(err.Error(), ":2:") || time.Since(began) > 2*time.Second {
			t.Errorf("a start with a broken file, after %s: %v", time.Since(began), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(300 * time.Millisecond)
			write(t, path, "192.0.2.1\n192.0.2.3333\n")
		}()
		tl := start(t, nil, Options{}, fileRule(path))
		tl.elapse(5 * time.Second)
		if st := tl.status(); !strings.Contains(st.LastError, ":2:") {
			t.Errorf("broken in the end: %q", st.LastError)
		}
	})
}

// A file that is never at rest keeps its last good set, and that is in the log.
func TestFile_written_for_ever(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	e, err := Open([]Rule{fileRule(path)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := e.sources[0]
	for look := 1; look <= 2*maxBusy; look++ {
		e.looked(s.key, nil, errBusy)
		if failed := s.failures > 0; failed != (look >= maxBusy) {
			t.Fatalf("after %d looks: failed is %t (%v)", look, failed, s.err)
		}
	}
	e.pollFile(s) // at rest, and as it was
	if got := e.Status()[0].LastError; got != "" {
		t.Errorf("LastError = %q once it is at rest", got)
	}
}

func TestFile_lines_end_and_say_so_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	synctest.Test(t, func(t *testing.T) {
		day := func(n int) string { return time.Now().AddDate(0, 0, n).Format(time.DateOnly) }
		write(t, path, "192.0.2.1\n192.0.2.2 until "+day(-3)+"\n192.0.2.3 until "+day(1)+"\n.example.com until "+day(1)+"\n")
		tl := start(t, nil, Options{}, fileRule(path))
		tl.want("at first", "+192.0.2.1", "-192.0.2.2", "+192.0.2.3")
		if tl.log.count("entries=1") != 1 {
			t.Errorf("the line that had ended is not in the log:\n%s", tl.log.b.String())
		}
		tl.elapse(49 * time.Hour)
		tl.want("two days later", "+192.0.2.1", "-192.0.2.3")
		if err := tl.Replace([]Rule{fileRule(path)}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Hour)
		if tl.log.count("entries=2") != 1 || tl.log.count("lines of a rule file ended") != 2 {
			t.Errorf("the log is\n%s", tl.log.b.String())
		}
	})
}

func TestFile_same_stamp_is_noticed_while_young(t *testing.T) {
	for name, mtime := range map[string]time.Time{"just written": {}, "copied with its time": time.Now().Add(-time.Hour)} {
		path := filepath.Join(t.TempDir(), "efax.txt")
		put := func(text string) error {
			return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, mtime, mtime))
		}
		w := &watched{path: path}
		err := put("192.0.2.1\n")
		if _, rerr := w.read(); errors.Join(err, rerr) != nil {
			t.Fatal(err, rerr)
		}
		err = put("192.0.2.9\n")
		seen, serr := stampOf(path)
		if errors.Join(err, serr) != nil {
			t.Fatal(err, serr)
		}
		w.seen, w.latest = seen, seen // as on a coarse file system
		if c, err := w.read(); err != nil || c == nil || c.ranges()[0].String() != "192.0.2.9" {
			t.Errorf("%s: read = %v, %v, want the change", name, c, err)
		}
	}
}

// What keeps the time of modification and the size, as a copy with its times may,
// is a change all the same.
func TestFile_of_the_same_time_and_size(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		tl := start(t, nil, Options{}, fileRule(path))
		tl.elapse(time.Minute)
		if err := errors.Join(os.WriteFile(path, []byte("192.0.2.9\n"), 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
		tl.elapse(3 * time.Second)
		tl.want("rewritten", "-192.0.2.1", "+192.0.2.9")
	})
}

// A file whose time lies ahead, as an unpacked one's may for hours, is not read
// anew at every look for as long.
func TestFile_of_the_future_is_read_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Now().Add(time.Hour)
		if err := os.Chtimes(path, ahead, ahead); err != nil {
			t.Fatal(err)
		}
		w := &watched{path: path}
		var read []bool
		for range 6 {
			c, err := w.read()
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, c != nil)
			time.Sleep(pollEvery)
		}
		if want := []bool{true, false, false, false, false, false}; !slices.Equal(read, want) {
			t.Errorf("looks that compiled it: %t, want %t", read, want)
		}
		if !w.settled {
			t.Error("it is still read at every look")
		}
	})
}

// A fault of reading is over as soon as the file can be read, though it says
// what it said before.
func TestFile_comes_back_as_it_was(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	aside := path + ".aside"
	write(t, path, "192.0.2.1\n")
	w := &watched{path: path}
	look := func(what string, found, good bool) {
		t.Helper()
		c, err := w.read()
		if (c != nil) != found || (err == nil) != good || w.good != good {
			t.Fatalf("%s: content %v, error %v, good %t; want content %t, good %t", what, c, err, w.good, found, good)
		}
	}
	look("at first", true, true)
	look("again", false, true)
	if err := errors.Join(os.Rename(path, aside), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	w.waits = maxBusy - 1 // at rest
	look("a folder in its place", false, false)
	if err := errors.Join(os.Remove(path), os.Rename(aside, path)); err != nil {
		t.Fatal(err)
	}
	look("back", true, true)
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.waits = maxBusy - 1 // at rest
	look("touched", false, true)
}

// Rights that come back, and what else keeps a file from being opened for a
// while, show neither in its time nor in its size.
func TestFile_is_read_when_it_can_be(t *testing.T) {
	path := filepath.Join(t.TempDir(), "efax.txt")
	write(t, path, "192.0.2.1\n")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	w := &watched{path: path}
	var had syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	none := had
	none.Cur = 0 // root may open everything, but not without a descriptor
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, refused := w.read()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	if refused == nil {
		t.Fatal("the file was read without a descriptor")
	}
	if c, err := w.read(); err != nil || c == nil {
		t.Errorf("read = %v, %v, want what the file holds", c, err)
	}
}
