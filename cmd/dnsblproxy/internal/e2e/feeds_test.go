package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// feed is a web server whose one document the test changes.
type feed struct {
	url string

	mu      sync.Mutex
	handler http.HandlerFunc
	served  int
}

func startFeed(t testing.TB) *feed {
	t.Helper()
	f := &feed{}
	f.document("[]")
	l, err := net.Listen("tcp", net.JoinHostPort(freeIP(t).String(), "8080"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		h := f.handler
		f.served++
		f.mu.Unlock()
		h(w, r)
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	f.url = server.URL + "/ranges.json"
	return f
}

func (f *feed) set(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler = h
}

// document serves a text, with an ETag and 304 for who has it.
func (f *feed) document(text string) {
	f.set(func(w http.ResponseWriter, r *http.Request) {
		tag := fmt.Sprintf("\"%d-%x\"", len(text), text[:min(8, len(text))])
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write([]byte(text))
	})
}

func (f *feed) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.served
}

func published(prefixes ...string) string {
	var items []string
	for _, p := range prefixes {
		items = append(items, fmt.Sprintf(`{"service": "FAX", "ip_prefix": %q}`, p))
	}
	return `{"prefixes": [` + strings.Join(items, ", ") + `, {"service": "WEB", "ip_prefix": "198.51.100.0/24"}]}`
}

// TestFeeds changes a published feed in every way it can go wrong. What was
// exempt stays exempt, nothing else becomes it, and the failure is counted.
func TestFeeds(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.10": "127.0.0.2", "192.0.2.20": "127.0.0.2", "192.0.2.30": "127.0.0.2",
		"198.51.100.1": "127.0.0.2", "203.0.113.1": "127.0.0.2"})
	feed := startFeed(t)
	feed.document(published("192.0.2.10/32", "192.0.2.20/32", "2001:db8:fa::/48"))
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr) + fmt.Sprintf(`
[allow.feed]
url = %q
jq = '.prefixes[] | select(.service == "FAX") | .ip_prefix'
refresh = "1s"
`, feed.url)})
	check := func(when string, want map[string]string) {
		t.Helper()
		verdicts(t, when, proxy.Addr, "bl.example", want)
	}
	good := map[string]string{"192.0.2.10": "unlisted", "192.0.2.20": "unlisted", "192.0.2.30": "listed 127.0.0.2",
		"198.51.100.1": "listed 127.0.0.2", "203.0.113.1": "listed 127.0.0.2"}
	check("first load", good)

	failures := func() float64 { return proxy.metric(t, "dnsblproxy_source_failures_total", `rule="feed"`) }
	for _, fault := range []struct {
		name string
		h    http.HandlerFunc
	}{
		{"status 500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
		{"status 404", http.NotFound},
		{"empty", func(http.ResponseWriter, *http.Request) {}},
		{"no addresses", text(`{"prefixes": []}`)},
		{"cut off", text(published("192.0.2.10/32", "192.0.2.30/32")[:40])},
		{"a page for people", text("<html><body>Moved!</body></html>")},
		{"everybody", text(published("192.0.2.10/32", "192.0.2.20/32", "0.0.0.0/0"))},
		{"redirected to plain http elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/ranges.json", http.StatusFound)
		}},
		{"33 MiB", func(w http.ResponseWriter, _ *http.Request) {
			for range 33 {
				w.Write(bytes.Repeat([]byte("\n"), 1<<20))
			}
			w.Write([]byte(published("192.0.2.10/32", "192.0.2.20/32", "192.0.2.30/32")))
		}},
		{"the connection dropped", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		before := failures()
		feed.set(fault.h)
		eventually(t, soon, fault.name+": the failure to be counted", func() error {
			if failures() <= before {
				return errors.New("dnsblproxy_source_failures_total has not grown")
			}
			return nil
		})
		check(fault.name, good)
	}

	feed.document(published("192.0.2.10/32", "192.0.2.20/32", "2001:db8:fa::/48", "192.0.2.30/32"))
	becomes(t, soon, proxy.Addr, "192.0.2.30", "bl.example", "unlisted")
	before := feed.times()
	eventually(t, soon, "the feed to be asked again", func() error {
		if feed.times() < before+2 {
			return errors.New("not yet")
		}
		return nil
	})
	good["192.0.2.30"] = "unlisted"
	check("unchanged (304)", good)

	// Losing more than half is believed when it is seen again.
	failed := failures()
	feed.document(published("192.0.2.10/32"))
	becomes(t, soon, proxy.Addr, "192.0.2.20", "bl.example", "listed 127.0.0.2")
	if failures() == failed {
		t.Error("a feed that lost three of four prefixes was believed at first sight")
	}
	check("shrunk", map[string]string{"192.0.2.10": "unlisted", "192.0.2.30": "listed 127.0.0.2"})
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(s)) }
}
