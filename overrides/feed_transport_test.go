package overrides

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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

	e := &Engine{opts: Options{Transport: secure.Client().Transport}}
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
			got := e.newFeedFetcher(&r).fetch(t.Context(), known{})
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
			f := (&Engine{opts: Options{Transport: srv.Client().Transport}}).newFeedFetcher(&r)
			ranges, err := readTextFeed([]byte(whole.String()))
			if err != nil {
				t.Fatal(err)
			}
			got := f.fetch(t.Context(), known{content: contentOfRanges(ranges, nil)})
			if got.err == nil || got.content != nil || got.lasting {
				t.Errorf("fetch = %+v, want a failure worth an early retry", got)
			}
			if first := f.fetch(t.Context(), known{}); len(first.valid) > 0 {
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
		e := &Engine{opts: Options{Transport: srv}}
		r := feedRule(func(r *Rule) { r.URL, r.Insecure = url, true })
		got := e.newFeedFetcher(&r).fetch(t.Context(), known{})
		if want == "" && got.err != nil || want != "" && (got.err == nil || !strings.Contains(got.err.Error(), want)) {
			t.Errorf("%s: err = %v, want %q", url, got.err, want)
		}
	}
}

// TestFeed_says_in_brief: the log and the page are spared what a server repeats in
// place of an answer.
func TestFeed_says_in_brief(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, reply := range map[string]func(*http.Request) (*http.Response, error){
		"no HTTP": func(*http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", long)
		},
		"redirect": answer(302, "", "Location", "ftp://other.example/"+long),
		"jq":       answer(200, `["`+long+`"]`),
	} {
		e := &Engine{opts: Options{Transport: &feedServer{answer: reply}}}
		r := feedRule(func(r *Rule) { r.URL, r.JQ = "https://feed.example/", ".[]" })
		got := e.newFeedFetcher(&r).fetch(t.Context(), known{})
		if got.err == nil || len(got.err.Error()) > maxWhy {
			t.Errorf("%s: an error of %d octets, want one of %d at most", name, len(fmt.Sprint(got.err)), maxWhy)
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
		e := &Engine{opts: Options{Transport: &feedServer{answer: reply}}}
		r := feedRule(func(r *Rule) { r.URL, r.Secrets = "https://hush.example/hush/feed?key=hush", []string{"hush"} })
		got := e.newFeedFetcher(&r).fetch(t.Context(), known{})
		if got.err == nil || strings.Contains(got.err.Error(), "hush") || strings.Contains(got.err.Error(), "Referer") {
			t.Errorf("%s: err = %v, want one without the key", name, got.err)
		}
	}
}
