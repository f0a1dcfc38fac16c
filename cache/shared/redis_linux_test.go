package shared

import (
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestCache_shares: what one has set the others get, with what is left of its
// life, until that is over.
func TestCache_shares(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := ready(t, s.url()), ready(t, s.url())
	if got := b.get("q"); got != "nothing" {
		t.Errorf("an empty server has %q", got)
	}
	data := "binary \x00\xff\r\n data"
	a.gives(b, "q", data, 300)
	if got := b.get("Q"); got != "nothing" {
		t.Errorf("another question has %q", got)
	}
	a.gives(b, "short", "data", 2)
	eventually(t, "it to run out", func() bool { return b.get("short") == "nothing" })
	a.Set([]byte("none"), "data", 0)
	a.Set([]byte("huge"), strings.Repeat("x", maxData+1), 300)
	a.gives(b, "largest", strings.Repeat("x", maxData), 300)
	for _, q := range []string{"none", "huge"} {
		if got := b.get(q); got != "nothing" {
			t.Errorf("%s has %.20q", q, got)
		}
	}
	if b.count(hit) == 0 || b.count(miss) == 0 || b.count(invalid) > 0 {
		t.Errorf("counted %v", b.got)
	}
	if n := strings.Count(s.do("KEYS", "*"), keyPrefix); n < 2 {
		t.Errorf("the server holds %d of our keys", n)
	}
}

// TestCache_notOurs: whatever somebody puts in the place of a value is no
// answer, and no reason to leave the server alone.
func TestCache_notOurs(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, stranger := ready(t, s.url()), ready(t, s.url(), func(o *Options) { o.Secret = "another" })
	q := []byte("q")
	key := a.key(answers, q)
	later := time.Now().Add(time.Hour)
	good := string(a.seal(answers, q, "data", later))
	s.do("SET", key, good)
	if got := a.get("q"); !strings.HasPrefix(got, "data 3") {
		t.Fatalf("a value of ours is %q", got)
	}
	for name, value := range map[string]string{
		"noise":           "noise",
		"cut":             good[:len(good)-7],
		"longer":          good + "x",
		"a bit turned":    strings.Replace(good, "data", "dat`", 1),
		"another's":       string(a.seal(answers, []byte("p"), "data", later)),
		"a warning":       string(a.seal(warnings, q, "data", later)),
		"a stranger's":    string(stranger.seal(answers, q, "data", later)),
		"expired":         string(a.seal(answers, q, "data", time.Now().Add(-time.Second))),
		"for ever":        string(a.seal(answers, q, "data", time.Now().Add(10*365*24*time.Hour))),
		"a million bytes": strings.Repeat("x", 1e6),
	} {
		s.do("SET", key, value)
		result := invalid
		if name == "expired" {
			result = miss
		}
		before := a.count(result)
		if got := a.get("q"); got != "nothing" || a.count(result) != before+1 {
			t.Errorf("%s: %.30q, counted %v", name, got, a.got)
		}
	}
	s.do("DEL", key)
	s.do("LPUSH", key, good)
	before := a.count(invalid)
	for range 2 * maxFailures {
		if got := a.get("q"); got != "nothing" {
			t.Errorf("a list in the place of a value: %q", got)
		}
	}
	if n := a.count(invalid) - before; n != 2*maxFailures || a.count(failed) > 0 {
		t.Errorf("a list in the place of a value: counted %v", a.got)
	}
	s.do("DEL", key)
	a.gives(a, "q", "data", 60)
	if got := stranger.get("q"); got != "nothing" {
		t.Errorf("with another secret it is %q", got)
	}
}

// TestCache_killed: a server that is gone costs three questions at most, and
// one that is back is used again without anybody's help.
func TestCache_killed(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := ready(t, s.url())
	a.gives(a, "q", "data", 300)
	for range 2 {
		s.kill()
		eventually(t, "the server to be left alone", func() bool { return a.get("q") == "not asked" })
		if n := a.count(hit); n == 0 {
			t.Error("no hit was counted")
		}
		s.start()
		eventually(t, "the server to be used again", func() bool { return a.get("q") == "nothing" })
		a.gives(a, "q", "data", 300)
	}
	// Once for each reason: it was cut off, and then it was not there.
	if n := strings.Count(a.log.String(), "going on without it"); n < 1 || n > 6 {
		t.Errorf("the log says %d times that the server fails", n)
	}
}

// TestCache_stopped: a server that takes questions and does not answer them.
// No question waits longer than Timeout, and soon none waits at all.
func TestCache_stopped(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := ready(t, s.url(), hurried)
	a.gives(a, "q", "data", 300)
	s.signal(syscall.SIGSTOP)
	waited := 0
	for a.get("q") != "not asked" {
		waited++
	}
	if waited > maxFailures+1 { // the verdict may come a moment after the third
		t.Errorf("%d questions in a row waited, want %d", waited, maxFailures)
	}
	start := time.Now()
	for range 1000 {
		if got := a.get("q"); got != "not asked" {
			t.Fatalf("a stopped server is asked again: %q", got)
		}
	}
	if took := time.Since(start); took > 100*testTimeout {
		t.Errorf("1000 questions took %v while the server is left alone", took)
	}
	s.signal(syscall.SIGCONT)
	eventually(t, "the server to be used again", func() bool { return a.has("q", "data") })
}

// TestCache_lateFailures: requests that fail just when the server was found well
// do not keep it from being left alone later.
func TestCache_lateFailures(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := ready(t, s.url())
	a.failures.Store(maxFailures)
	s.kill()
	eventually(t, "the server to be left alone", func() bool { return a.get("q") == "not asked" })
}

// TestCache_bound: the wait is measured, with many questions at once.
func TestCache_bound(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := ready(t, s.url(), hurried)
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	var waiting, waited atomic.Int64 // how many do, and how long one did
	for i := range 300 {
		waiting.Add(1)
		start := time.Now()
		asked := a.Get(fmt.Appendf(nil, "q%d", i), func(_ string, _ uint32, ok bool) {
			waited.Store(int64(time.Since(start)))
			waiting.Add(-1)
			if ok {
				t.Error("a stopped server has an answer")
			}
		})
		if !asked {
			waiting.Add(-1)
		}
	}
	// In pieces: a machine that stands still takes no more than one of them.
	piece := testTimeout / 50
	for range 3 * testTimeout / piece {
		time.Sleep(piece)
	}
	if n := waiting.Load(); n > 0 || time.Duration(waited.Load()) < testTimeout {
		t.Errorf("%d questions wait still, the last that did not waited %v, with a timeout of %v", n, time.Duration(waited.Load()), testTimeout)
	}
}

// TestCache_full: a server without room goes on answering.
func TestCache_full(t *testing.T) {
	t.Parallel()
	s := startRedis(t, "--maxmemory-policy", "noeviction")
	a := ready(t, s.url())
	a.gives(a, "q", "data", 300)
	s.do("CONFIG", "SET", "maxmemory", "1")
	eventually(t, "a write to be refused", func() bool {
		a.Set([]byte("r"), "data", 300)
		return a.count(refused) > 0
	})
	for range 3 * maxFailures {
		if got := a.get("q"); !strings.HasPrefix(got, "data ") {
			t.Fatalf("a full server has %q", got)
		}
	}
	drained := func() bool { return len(a.places) == 0 }
	eventually(t, "writes to end", drained)
	a.resume.Store(math.MaxInt64) // the pause, for as long as the test looks
	before := a.count(refused)
	for range 100 {
		a.Set([]byte("r"), "data", 300)
	}
	eventually(t, "writes to end", drained)
	if n := a.count(refused) - before; n > 0 {
		t.Errorf("%d writes in the pause after one was refused", n)
	}
	// As keys expire there is room, and soon none again: that is one story.
	said := func() [2]int {
		return [2]int{strings.Count(a.log.String(), "refuses"), strings.Count(a.log.String(), "takes what it is given again")}
	}
	for i, room := range []string{"0", "1", "0"} {
		s.do("CONFIG", "SET", "maxmemory", room)
		before, name := a.count(refused), fmt.Sprint("r", i)
		eventually(t, "a write to be taken or refused", func() bool {
			a.resume.Store(0)
			a.Set([]byte(name), "data", 300)
			return a.count(refused) > before || strings.HasPrefix(a.get(name), "data ")
		})
		eventually(t, "writes to end", drained)
	}
	if got := said(); got != [2]int{1, 0} {
		t.Errorf("said %v, want of a server that is full now and then that it refuses, once:\n%s", got, a.log.String())
	}
	a.resume.Store(-int64(calm))
	eventually(t, "the log to say that there is room", func() bool {
		a.Set([]byte("r"), "data", 300)
		return said() == [2]int{1, 1}
	})
}

// TestCache_forbidden: a server that answers a PING but refuses questions is
// left alone, and the log says why.
func TestCache_forbidden(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := ready(t, s.url())
	a.gives(a, "q", "data", 300)
	s.do("ACL", "SETUSER", "default", "-getrange")
	eventually(t, "the log to say so", func() bool {
		a.get("q")
		return strings.Contains(a.log.String(), "NOPERM")
	})
	for range 1000 {
		if got := a.get("q"); got != "not asked" {
			t.Fatalf("a server that refuses questions is asked: %q", got)
		}
	}
	s.do("ACL", "SETUSER", "default", "+getrange")
	eventually(t, "the server to be used again", func() bool { return a.has("q", "data") })
	if n := strings.Count(a.log.String(), "NOPERM"); n > 2 { // twice where a slow look came between
		t.Errorf("the log says %d times that the server fails", n)
	}
}

// TestCache_password: a wrong password is a server that fails, is not logged,
// and is right as soon as the server thinks so.
func TestCache_password(t *testing.T) {
	t.Parallel()
	s := startRedis(t, "--requirepass", "right")
	a := openClient(t, "unix://:wr0ng@"+s.socket)
	b := ready(t, "unix://:right@"+s.socket)
	eventually(t, "the log to say so", func() bool { return strings.Contains(a.log.String(), "WRONGPASS") })
	if got := a.get("q"); got != "not asked" {
		t.Errorf("with a wrong password: %q", got)
	}
	b.gives(b, "q", "data", 300)
	if out, err := exec.Command("redis-cli", "-s", s.socket, "-a", "right", "CONFIG", "SET", "requirepass", "wr0ng").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the password to be right", func() bool { return a.has("q", "data") })
	if strings.Contains(a.log.String(), "wr0ng") {
		t.Error("the password is in the log")
	}
}

// TestCache_Close: nothing of a Cache is left, whatever state it was in.
func TestCache_Close(t *testing.T) {
	s := startRedis(t)
	down := "unix://" + s.socket + "-none"
	for name, prepare := range map[string]func() *Cache{
		"up":   func() *Cache { return ready(t, s.url()).Cache },
		"down": func() *Cache { return openClient(t, down).Cache },
		"stopped while connecting": func() *Cache {
			s.signal(syscall.SIGSTOP)
			c := openClient(t, s.url())
			eventually(t, "the attempt", func() bool { return running("rueidis") > 0 })
			return c.Cache
		},
		"stopped while asking": func() *Cache {
			c := ready(t, s.url(), hurried)
			s.signal(syscall.SIGSTOP)
			for i := range 100 {
				c.Get([]byte{byte(i)}, func(_ string, _ uint32, ok bool) {
					if ok {
						t.Error("a stopped server has an answer")
					}
				})
				c.Set([]byte{byte(i)}, "data", 300)
			}
			return c.Cache
		},
	} {
		c := prepare()
		start := time.Now()
		c.Close()
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: Close took %v", name, took)
		}
		eventually(t, name+": the goroutines to end", func() bool { return running("rueidis")+running("shared.(*Cache)") == 0 })
		s.signal(syscall.SIGCONT)
		if c.Get([]byte("q"), nil) {
			t.Errorf("%s: a closed cache is asked", name)
		}
		c.Set([]byte("q"), "data", 300)
	}
}

// TestCache_closeWhileUsed: questions, writes and warnings may come while the
// Cache is closed.
func TestCache_closeWhileUsed(t *testing.T) {
	s := startRedis(t)
	c := ready(t, s.url())
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			for n := 0; c.ctx.Err() == nil || n < 1000; n++ {
				q := fmt.Appendf(nil, "%d %d", i, n)
				c.Set(q, "data", 300)
				c.Get(q, func(string, uint32, bool) {})
				c.Announce("list", time.Minute)
			}
		})
	}
	eventually(t, "an answer", func() bool { return c.count(hit)+c.count(miss) > 0 })
	c.Close()
	users.Wait()
	if n := len(c.places); n > 0 {
		t.Errorf("%d requests are still under way", n)
	}
}

// running is how many goroutines have a function of that name on their stack.
func running(name string) int {
	buf := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, name) {
			n++
		}
	}
	return n
}
