package overrides

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// feedServer answers requests in a bubble, without sockets.
type feedServer struct {
	mu      sync.Mutex
	answer  func(*http.Request) (*http.Response, error)
	asked   int
	headers http.Header // of the latest request
}

func (s *feedServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.headers = req.Header
	return s.answer(req)
}

func (s *feedServer) set(f func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *feedServer) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func answer(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " no secret\x1b[2J"),
			Body: io.NopCloser(strings.NewReader(body)), Header: h, Request: req}, nil
	}
}

func feedRule(f ...func(*Rule)) Rule {
	r := allow(func(r *Rule) { r.URL = "https://feeds.example/ranges?key=secret" })
	for _, g := range f {
		g(&r)
	}
	return r
}

const goodFeed = "# our ranges\n192.0.2.0/24\r\n198.51.100.1-198.51.100.9 ; some\n\n2001:db8::/48\n"

func TestFeed_faults_keep_the_last_good(t *testing.T) {
	slow := func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }
	huge := strings.Repeat("# long\n", maxFeed/7+1)
	for _, tt := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		want   string // in the log
	}{
		{"unreachable", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, "connection refused"},
		{"too slow", slow, "deadline"},
		{"not found", answer(404, goodFeed), "404 Not Found"},
		{"server error", answer(500, ""), "500"},
		{"a 304 that nobody asked for", answer(304, ""), "304 Not Modified"},
		{"no content", answer(204, ""), "204"},
		{"empty", answer(200, ""), "holds no address"},
		{"comments only", answer(200, "# nothing\n"), "holds no address"},
		{"html", answer(200, "<html><body>Log in to the network</body></html>"), "line 1 of the feed"},
		{"one bad line", answer(200, goodFeed+"198.51.100.300\n"), "line 6 of the feed"},
		{"half a JSON", answer(200, `{"prefixes": ["192.0.2.0/24", "198.51`), "broken JSON"},
		{"something behind the JSON", answer(200, `["192.0.2.0/24"] and more`), "broken JSON"},
		{"half a line of JSON", answer(200, "{\"cidr\": \"192.0.2.0/24\"}\n{\"cidr\": \"198.51"), "broken JSON"},
		{"JSON without addresses", answer(200, `{"error": "quota"}`), "holds no address"},
		{"deep JSON", answer(200, strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)), "exceeded max depth"},
		{"too broad", answer(200, goodFeed+"10.0.0.0/8\n"), "refused whole"},
		{"the world", answer(200, "0.0.0.0/0\n::/0"), "refused whole"},
		{"lost more than half", answer(200, "192.0.2.0/26\n198.51.100.1\n2001:db8::/48"), "lost more than half"},
		{"lost one more than half", answer(200, "192.0.2.0/25\n198.51.100.1-198.51.100.4\n2001:db8::/48"), "lost more than half"},
		{"lost IPv6", answer(200, "192.0.2.0/24\n198.51.100.1-198.51.100.9"), "lost more than half"},
		{"all others", answer(200, "203.0.113.0/24\n198.51.100.1-198.51.100.9\n2001:db8::/48"), "lost more than half"},
		{"too large", answer(200, huge), "larger than 32 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &feedServer{answer: answer(200, goodFeed)}
				tl := start(t, nil, Options{Transport: srv}, feedRule())
				all := []string{"+192.0.2.200", "+198.51.100.9", "+2001:db8::1", "-203.0.113.1", "-10.0.0.1"}
				tl.want("at first", all...)
				srv.set(tt.answer)
				tl.elapse(time.Hour + time.Minute)
				tl.want("with the fault", all...)
				if n := tl.log.count(tt.want); n != 1 {
					t.Errorf("%q is in the log %d times, want once\n%.2000s", tt.want, n, tl.log.b.String())
				}
				if st := tl.status(); st.Failures == 0 || !strings.Contains(st.LastError, tt.want) {
					t.Errorf("status = %d failures, %q", st.Failures, st.LastError)
				}
				if tl.log.count("secret") > 0 {
					t.Errorf("the log shows the URL's key:\n%s", tl.log.b.String())
				}
				srv.set(answer(200, goodFeed))
				tl.elapse(time.Hour + time.Minute)
				if st := tl.status(); st.LastError != "" {
					t.Errorf("LastError = %q after recovery", st.LastError)
				}
			})
		})
	}
}

func TestFeed_believes_a_loss_seen_twice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &feedServer{answer: answer(200, goodFeed)}
		tl := start(t, nil, Options{Transport: srv}, feedRule())
		srv.set(answer(200, "198.51.100.1\n2001:db8::/48"))
		tl.elapse(time.Hour + time.Second)
		tl.want("seen once", "+192.0.2.1")
		if err := tl.Replace([]Rule{feedRule()}); err != nil { // which is not forgotten
			t.Fatal(err)
		}
		tl.elapse(time.Hour)
		tl.want("seen twice", "-192.0.2.1", "+198.51.100.1")
	})
}

// A loss that the server takes back, by saying that the set of before holds, has
// not been seen.
func TestFeed_forgets_a_loss_taken_back(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &feedServer{answer: answer(200, goodFeed, "ETag", "1")}
		tl := start(t, nil, Options{Transport: srv}, feedRule())
		for _, a := range []func(*http.Request) (*http.Response, error){answer(200, "198.51.100.1\n"), answer(304, ""), answer(200, "198.51.100.1\n")} {
			srv.set(a)
			tl.elapse(time.Hour + time.Second)
		}
		tl.want("twice, but not one after the other", "+192.0.2.1")
	})
}

// Another key for the same feed is tried at once, and forgets nothing.
func TestFeed_key_is_exchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with := func(key string) Rule {
			return feedRule(func(r *Rule) { r.URL, r.Secrets = "https://feeds.example/"+key+"/ranges", []string{key} })
		}
		keys := map[string]int{}
		srv := &feedServer{answer: answer(200, goodFeed)}
		tl := start(t, nil, Options{Transport: srv}, with("first"))
		srv.set(func(req *http.Request) (*http.Response, error) {
			keys[strings.Split(req.URL.Path, "/")[1]]++
			return answer(403, "")(req)
		})
		if err := tl.Replace([]Rule{with("second")}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		tl.want("with a key that does not fit", "+192.0.2.1")
		if keys["first"] != 0 || keys["second"] != 1 {
			t.Errorf("asked with %v, want once with the second", keys)
		}
	})
}

func TestFeed_refused_is_not_asked_for_conditionally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &feedServer{answer: answer(200, goodFeed, "ETag", `"good"`)}
		tl := start(t, nil, Options{Transport: srv}, feedRule())
		srv.set(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("If-None-Match") == `"broad"` {
				return answer(304, "")(req)
			}
			return answer(200, goodFeed+"10.0.0.0/8", "ETag", `"broad"`)(req)
		})
		tl.elapse(3*time.Hour + time.Minute)
		tl.want("still too broad", "+192.0.2.1", "-10.0.0.1")
		if st := tl.status(); !strings.Contains(st.LastError, "refused whole") {
			t.Errorf("LastError = %q, want the refusal", st.LastError)
		}
	})
}

func TestFeed_asks_conditionally_and_in_time(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &feedServer{answer: answer(200, goodFeed, "ETag", `"v1"`, "Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")}
		tl := start(t, nil, Options{Transport: srv, UserAgent: "dnsblproxy/1.2"}, feedRule(func(r *Rule) { r.Refresh = 10 * time.Second }))
		if ua := srv.headers.Get("User-Agent"); ua != "dnsblproxy/1.2" || srv.headers.Get("If-None-Match") != "" {
			t.Errorf("first request has %v", srv.headers)
		}
		srv.set(answer(304, ""))
		table := tl.Table()
		tl.elapse(11 * time.Second)
		if srv.times() != 2 || srv.headers.Get("If-None-Match") != `"v1"` || srv.headers.Get("If-Modified-Since") == "" {
			t.Errorf("%d requests, the second with %v", srv.times(), srv.headers)
		}
		tl.want("not modified", "+192.0.2.1")
		if tl.Table() != table {
			t.Error("an unchanged feed made a new table")
		}
		srv.set(answer(304, "", "Cache-Control", "public, max-age=3600"))
		tl.elapse(11 * time.Second)
		n := srv.times()
		tl.elapse(59 * time.Minute)
		if srv.times() != n {
			t.Error("the feed's max-age did not lengthen the pause")
		}
		srv.set(answer(200, "192.0.2.0/24\n198.51.100.0/24\n2001:db8::/48", "Cache-Control", "max-age=99999999999999999999"))
		tl.elapse(2 * time.Minute)
		tl.want("changed", "+198.51.100.200")
		srv.set(answer(200, "192.0.2.0/24\n198.51.100.0/24\n2001:db8::/48\n203.0.113.1", "Cache-Control", "max-age=999999999"))
		tl.elapse(25 * time.Hour)
		tl.want("a day later at most", "+203.0.113.1")
	})
}

// TestFeed_condition_is_kept_over_a_restart: what the server said of the last
// good set is asked about, and a 304 keeps the set; but nothing is asked that
// way without a set, nor by a version that may read the feed differently.
func TestFeed_condition_is_kept_over_a_restart(t *testing.T) {
	const modified = "Mon, 01 Jan 2024 00:00:00 GMT"
	opts := Options{StateDir: t.TempDir(), UserAgent: "dnsblproxy/1.2"}
	srv := &feedServer{}
	opts.Transport = srv
	conditional := func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("If-None-Match") == `W/"v1 \ä"` {
			return answer(400, "")(req) // not ASCII, so not said again
		}
		if req.Header.Get("If-None-Match") == `"v1"` && req.Header.Get("If-Modified-Since") == modified {
			return answer(304, "")(req)
		}
		return answer(200, goodFeed, "ETag", `"v1"`, "Last-Modified", modified)(req)
	}
	asked := func(tl *timeline, when string, want bool) {
		t.Helper()
		if got := srv.headers.Get("If-None-Match") != "" || srv.headers.Get("If-Modified-Since") != ""; got != want {
			t.Errorf("%s: asked with a condition: %t, want %t", when, got, want)
		}
		tl.want(when, "+192.0.2.1", "+2001:db8::1", "-10.0.0.1")
		if st := tl.status(); st.LastError != "" {
			t.Errorf("%s: LastError = %q", when, st.LastError)
		}
	}
	srv.answer = conditional
	run(t, nil, opts, []Rule{feedRule()}, func(tl *timeline) {
		asked(tl, "first", false)
		if err := tl.Replace([]Rule{feedRule(func(r *Rule) { r.Refresh = time.Minute })}); err != nil {
			t.Fatal(err)
		}
		tl.elapse(time.Second)
		asked(tl, "after a reload", true)
	})
	run(t, nil, opts, []Rule{feedRule()}, func(tl *timeline) { asked(tl, "after a restart", true) })
	other := opts
	other.UserAgent = "dnsblproxy/1.3"
	run(t, nil, other, []Rule{feedRule()}, func(tl *timeline) { asked(tl, "by another version", false) })
	run(t, nil, opts, []Rule{feedRule(func(r *Rule) { r.MaxV4 = 25 })}, func(tl *timeline) {
		if srv.headers.Get("If-None-Match") != "" {
			t.Error("a condition was sent although the kept set is refused by the guard")
		}
	})
	files, err := filepath.Glob(filepath.Join(opts.StateDir, "url-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files = %v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("etag \"v1\""), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, opts, []Rule{feedRule()}, func(tl *timeline) { asked(tl, "with a damaged file", false) })
	srv.answer = answer(200, goodFeed, "ETag", `W/"v1 \ä"`)
	run(t, nil, other, []Rule{feedRule()}, func(tl *timeline) {})
	srv.answer = conditional
	run(t, nil, other, []Rule{feedRule()}, func(tl *timeline) { asked(tl, "after an ETag that is not ASCII", false) })
}

func TestFeed_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ranges.txt")
	if err := os.WriteFile(path, []byte(goodFeed), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &Engine{}
	r := allow(func(r *Rule) { r.URL = "file://" + path })
	if got := e.newFeedFetcher(&r).fetch(t.Context(), known{}); got.err != nil || len(got.content.ranges()) != 3 {
		t.Errorf("fetch = %+v", got)
	}
}

func TestRule_ShownURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:hush@example.com/a/b?key=hush#hush": "https://example.com/a/b",
		"https://example.com":                             "https://example.com",
		"https://example.com/hush/feed":                   "https://example.com/(key)/feed",
		"https://hush.example.com/":                       "https://(key).example.com/",
		"file:///var/lib/x.json":                          "file:///var/lib/x.json",
		"https://exa mple.com/hush":                       "unreadable",
	} {
		r := Rule{URL: in, Secrets: []string{"hush"}}
		if got := r.ShownURL(); got != want {
			t.Errorf("ShownURL of %q = %q, want %q", in, got, want)
		}
	}
}
