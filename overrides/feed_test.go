package overrides

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
		{"unasked 304 has no body", answer(204, ""), "204"},
		{"empty", answer(200, ""), "holds no address"},
		{"comments only", answer(200, "# nothing\n"), "holds no address"},
		{"html", answer(200, "<html><body>Log in to the network</body></html>"), "line 1 of the feed"},
		{"one bad line", answer(200, goodFeed+"198.51.100.300\n"), "line 6 of the feed"},
		{"half a JSON", answer(200, `{"prefixes": ["192.0.2.0/24", "198.51`), "broken JSON"},
		{"two JSON", answer(200, `["192.0.2.0/24"]["198.51.100.0/24"]`), "something follows"},
		{"JSON without addresses", answer(200, `{"error": "quota"}`), "holds no address"},
		{"deep JSON", answer(200, strings.Repeat("[", 300)+strings.Repeat("]", 300)), "nested more than"},
		{"too broad", answer(200, goodFeed+"10.0.0.0/8\n"), "refused whole"},
		{"the world", answer(200, "0.0.0.0/0\n::/0"), "refused whole"},
		{"lost more than half", answer(200, "192.0.2.0/26\n198.51.100.1\n2001:db8::/48"), "lost more than half"},
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

func TestFeed_redirects(t *testing.T) {
	mux := http.NewServeMux()
	secure := httptest.NewTLSServer(mux)
	defer secure.Close()
	plain := httptest.NewServer(mux)
	defer plain.Close()
	for path, to := range map[string]string{
		"/up": secure.URL + "/ranges", "/down": plain.URL + "/ranges", "/loop": "/loop", "/file": "file:///etc/hosts",
		"/out": "http://feeds.example/ranges",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
	}
	mux.HandleFunc("/ranges", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, goodFeed) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "192.0.2.0/24\n")
	})

	e := &Engine{transport: secure.Client().Transport}
	for _, tt := range []struct {
		name, url string
		want      string // in the error; empty: the ranges
	}{
		{"https", secure.URL + "/ranges", ""},
		{"http on loopback", plain.URL + "/ranges", ""},
		{"https to https", secure.URL + "/up", ""},
		{"http to https", plain.URL + "/up", ""},
		{"loopback to loopback", plain.URL + "/down", ""},
		{"https to http", secure.URL + "/down", "not https"},
		{"to http elsewhere", plain.URL + "/out", "not https"},
		{"to a file", secure.URL + "/file", ""},
		{"for ever", secure.URL + "/loop", "more than 5 redirects"},
		{"cut short", secure.URL + "/cut", "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := allow(func(r *Rule) { r.URL = tt.url })
			got := e.newFeedFetcher(sourcesOf(&r)[0]).fetch(t.Context(), nil)
			if tt.name == "to a file" {
				if got.err == nil {
					t.Fatal("a redirect to a file was followed")
				}
				return
			}
			if tt.want == "" && got.err != nil || tt.want != "" && (got.err == nil || !strings.Contains(got.err.Error(), tt.want)) {
				t.Fatalf("err = %v, want %q", got.err, tt.want)
			}
			if tt.want == "" && len(got.content.ranges()) != 3 {
				t.Errorf("ranges = %v", got.content.ranges())
			}
		})
	}
}

// TestFeed_cut_short: a server that goes away in the middle of a text feed, however
// it sends it, takes nothing out of the set in force.
func TestFeed_cut_short(t *testing.T) {
	var whole strings.Builder
	for i := range 100 {
		fmt.Fprintf(&whole, "192.0.2.%d\n", i)
	}
	part := whole.String()[:10*10+60*11] // more than half, and whole lines
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, whole.String())
	z.Close()
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, buf, _ := w.(http.Hijacker).Hijack()
			fmt.Fprint(buf, "HTTP/1.1 200 OK\r\n"+text)
			buf.Flush()
			c.Close()
		}
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
	for name, h := range map[string]http.HandlerFunc{
		"length":           raw("Content-Length: 1500\r\n\r\n" + part),
		"within a chunk":   raw("Transfer-Encoding: chunked\r\n\r\n" + chunk[:len(chunk)-100]),
		"after a chunk":    raw("Transfer-Encoding: chunked\r\n\r\n" + chunk),
		"gzip":             raw("Content-Encoding: gzip\r\n\r\n" + packed.String()[:packed.Len()-9]),
		"end of file":      raw("ETag: \"1\"\r\n\r\n" + part),
		"end of file, 1.0": raw("Connection: close\r\n\r\n" + part),
		"HTTP/2": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, part)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(h)
			srv.EnableHTTP2 = name == "HTTP/2"
			srv.StartTLS()
			defer srv.Close()
			r := allow(func(r *Rule) { r.URL = srv.URL })
			f := (&Engine{transport: srv.Client().Transport}).newFeedFetcher(sourcesOf(&r)[0])
			ranges, err := readTextFeed([]byte(whole.String()))
			if err != nil {
				t.Fatal(err)
			}
			got := f.fetch(t.Context(), contentOfRanges(ranges, nil))
			if got.err == nil || got.content != nil || got.lasting {
				t.Errorf("fetch = %+v, want a failure worth an early retry", got)
			}
			if first := f.fetch(t.Context(), nil); first.valid != (validators{}) {
				t.Errorf("the server may say that %+v still holds", first.valid)
			}
		})
	}
}

// What no length vouches for is believed when it is seen a second time, soon.
func TestFeed_unframed_loss(t *testing.T) {
	unframed := func(body string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			resp, err := answer(200, body)(req)
			resp.ContentLength = -1
			return resp, err
		}
	}
	synctest.Test(t, func(t *testing.T) {
		srv := &feedServer{answer: unframed(goodFeed)}
		tl := start(t, nil, Options{Transport: srv}, feedRule())
		srv.set(unframed(goodFeed + "203.0.113.1\n"))
		tl.elapse(time.Hour + time.Second)
		tl.want("more of them", "+203.0.113.1", "+198.51.100.9")
		srv.set(unframed("192.0.2.0/24\n198.51.100.1-198.51.100.8\n2001:db8::/48\n"))
		tl.elapse(time.Hour)
		tl.want("seen once", "+203.0.113.1", "+198.51.100.9")
		tl.elapse(time.Minute)
		tl.want("seen twice", "-203.0.113.1", "-198.51.100.9", "+198.51.100.8")
	})
}

// With insecure, http may lead to http as it may be asked; https still may not.
func TestFeed_redirects_insecure(t *testing.T) {
	for url, want := range map[string]string{
		"http://feeds.example/old":  "",
		"https://feeds.example/old": "not https",
	} {
		srv := &feedServer{answer: func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/old" {
				return answer(301, "", "Location", "http://feeds.example/ranges")(req)
			}
			return answer(200, goodFeed)(req)
		}}
		e := &Engine{transport: srv}
		r := feedRule(func(r *Rule) { r.URL, r.Insecure = url, true })
		got := e.newFeedFetcher(sourcesOf(&r)[0]).fetch(t.Context(), nil)
		if want == "" && got.err != nil || want != "" && (got.err == nil || !strings.Contains(got.err.Error(), want)) {
			t.Errorf("%s: err = %v, want %q", url, got.err, want)
		}
	}
}

// TestFeed_keeps_its_key: neither the log nor the server that a redirect leads to
// learns what the URL holds.
func TestFeed_keeps_its_key(t *testing.T) {
	redirect := answer(302, "", "Location", "https://other.example/ranges")
	for name, reply := range map[string]func(*http.Request) (*http.Response, error){
		"no such host": func(req *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("dial tcp: lookup %s: no such host", req.URL.Host)
		},
		"bad redirect": func(req *http.Request) (*http.Response, error) {
			return answer(302, "", "Location", "https://other.example:x"+req.URL.Path)(req)
		},
		"status": func(req *http.Request) (*http.Response, error) {
			resp, err := answer(404, "")(req)
			resp.Status = "404 no " + req.URL.Path
			return resp, err
		},
		"echo": func(req *http.Request) (*http.Response, error) { return answer(200, req.URL.Host)(req) },
		"referer": func(req *http.Request) (*http.Response, error) {
			if req.URL.Host != "other.example" {
				return redirect(req)
			}
			return nil, fmt.Errorf("it was told %q", req.Header)
		},
	} {
		e := &Engine{transport: &feedServer{answer: reply}}
		r := feedRule(func(r *Rule) { r.URL, r.Secrets = "https://hush.example/hush/feed?key=hush", []string{"hush"} })
		got := e.newFeedFetcher(sourcesOf(&r)[0]).fetch(t.Context(), nil)
		if got.err == nil || strings.Contains(got.err.Error(), "hush") || strings.Contains(got.err.Error(), "Referer") {
			t.Errorf("%s: err = %v, want one without the key", name, got.err)
		}
	}
}

func TestFeed_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ranges.txt")
	if err := os.WriteFile(path, []byte(goodFeed), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &Engine{}
	r := allow(func(r *Rule) { r.URL = "file://" + path })
	if got := e.newFeedFetcher(sourcesOf(&r)[0]).fetch(t.Context(), nil); got.err != nil || len(got.content.ranges()) != 3 {
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
