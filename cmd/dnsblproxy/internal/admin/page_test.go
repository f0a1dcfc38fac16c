package admin

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func getPage(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	h := sceneHandler(t, nil)
	tests := []struct {
		name, path string
		want, not  []string // contained, and not
	}{
		{"overview", "/", []string{
			"v1.0.0", `<time datetime="2026-11-20T14:32:07Z">`,
			`<span class="state unreachable">unreachable</span> <span class="quiet">for 17`, "the test question for ip4 fails",
			"1 unwell", "dnsbl.example.net", `<a href="https://docs.example.org/zen" rel="noreferrer">Spamhaus ZEN</a>`,
			`<progress max="300000" value="48211">`, "looking up mail.example.com", "fax notifications", "only in zen.spamhaus.org",
			"≈\u202f2^65", "looked for on 2 lists", "until 2026-10-31", `data-name="Let through">701<`, `data-name="Against a listing">96<`,
			`data-name="Listed">25` + "\u202f%", `d="M`, `class="line-median"`, `<th scope="col" class="n">exempt</th>`,
			`<time datetime="2026-11-20T14:30:00Z">14:30</time> to <time datetime="2026-11-20T14:35:00Z">14:35</time></th>`,
			`data-name="failed">152<`, "The last 100 of 140; 140 are remembered",
			`data-name="Exempted"><span>1,904 <span class="quiet">11` + "\u202f%",
		}, []string{"ZgotmplZ", "<article", "What efax exempts"}},
		{"look-up", "/?q=198.51.100.9", []string{
			`value="198.51.100.9"`, `<span class="verdict exempt">exempt</span>`, `<a href="/?rule=efax#rule">efax</a>`,
			"the exemption removes 127.0.0.3", "11\u202fms",
		}, []string{`class="problem"`}},
		{"look-up of nonsense", "/?q=%3Cscript%3Ealert(1)%3C/script%3E", []string{
			`class="problem" role="alert">&#34;&lt;script&gt;alert(1)&lt;/script&gt;&#34; is neither`,
		}, []string{"<script>alert", "<article"}},
		{"search", "/?find=EFAX&verdict=exempt", []string{
			`value="EFAX"`, "<option selected>exempt</option>", " found; 140 are remembered", "198.51.100.4",
		}, []string{`<span class="verdict listed">`}},
		{"search in vain", "/?find=nobody", []string{"None of the 140 that are remembered"}, []string{`class="decisions"`}},
		{"another range", "/?range=6h&find=x", []string{
			`href="/?find=x&amp;range=6h#chart" aria-current="true"`, `datetime="2026-11-20T08:33:00Z"`}, nil},
		{"a range that is none", "/?range=9y", []string{`range=1h#chart" aria-current="true"`}, nil},
		{"entries of a rule", "/?rule=efax", []string{"What efax exempts", "<code>198.51.100.93</code>"}, []string{"The first"}},
		{"entries of a deny rule, which has its own list", "/?rule=local", nil, []string{"exempts <a"}},
		{"entries of no rule", "/?rule=nothing", nil, []string{"exempts <a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := getPage(t, h, tt.path)
			body := w.Body.String()
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Fatalf("status %d, %s: %s", w.Code, w.Header().Get("Content-Type"), body)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("%q is not in the page", want)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(body, not) {
					t.Errorf("%q is in the page", not)
				}
			}
			if m := forbiddenByPolicy().FindString(body); m != "" {
				t.Errorf("the page holds %q, which its own policy forbids", m)
			}
		})
	}
}

// forbiddenByPolicy finds styles, scripts and handlers inside the page, and
// what it would load from elsewhere.
func forbiddenByPolicy() *regexp.Regexp {
	return regexp.MustCompile(`<style|<script>|\sstyle=|\son[a-z]+=|(src|<link[^>]*href)="(https?:)?//`)
}

// TestPage_empty shows a server that has just been started with nothing.
func TestPage_empty(t *testing.T) {
	reg := prometheus.NewRegistry()
	page := NewPage(PageOptions{
		Overview: func() Overview { return Overview{Version: "devel", Started: time.Now()} },
		Lookup:   func(context.Context, string) ([]Answer, error) { return nil, nil },
		Worth:    func() any { return []worth{} },
		Figures:  reg, History: NewHistory(reg, nil), Journal: NewJournal(1),
	})
	w := getPage(t, page, "/?q=192.0.2.1&rule=x")
	body := w.Body.String()
	if w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, body)
	}
	for _, part := range []string{"The configuration has no rule.", "No zone is served.", "No question was asked in this time.", "None yet"} {
		if !strings.Contains(body, part) {
			t.Errorf("%q is not in the page", part)
		}
	}
	for _, part := range []string{`id="worth"`, `id="rule"`, "NaN", "Inf"} {
		if strings.Contains(body, part) {
			t.Errorf("%s is in the page", part)
		}
	}
}

// TestPage_live shows an SPF record that opens addresses one at a time alone.
func TestPage_live(t *testing.T) {
	overview := Overview{Rules: []Rule{{Name: "fax", Action: "allow", Enabled: true}}, Sources: []Source{
		{Rule: "fax", Action: "allow", What: "spf live.example", InForce: true}, {Rule: "fax", Action: "allow", What: "spf none.example"},
		{Rule: "fax", Action: "deny", What: "spf other.example"},
	}}
	h := sceneHandler(t, func(o *PageOptions) { o.Overview = func() Overview { return overview } })
	body := getPage(t, h, "/").Body.String()
	for what, want := range map[string]string{"spf live.example": "asked for each address, never", "spf none.example": "nothing, never"} {
		if !regexp.MustCompile(what + `</span>\s*<span class="quiet">` + want).MatchString(body) {
			t.Errorf("%s is not %q in %s", what, want, body)
		}
	}
	if strings.Contains(body, "other.example") {
		t.Error("a source of the deny rule of this name stands with the allow rule")
	}
}

func TestPage_files(t *testing.T) {
	h := sceneHandler(t, nil)
	for path, kind := range map[string]string{
		"/page.css": "text/css; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		w := getPage(t, h, path)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || w.Body.Len() == 0 {
			t.Errorf("%s: status %d, %s, %d bytes", path, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
	}
	for _, path := range []string{"/page/page.html", "/page", "/index.html", "/parts.html"} {
		if w := getPage(t, h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
	err := fs.WalkDir(pageFiles, "page", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 32<<10 {
			t.Errorf("%s has %d bytes; it is to stay small", path, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPage_link keeps pages of others from making us ask lists.
func TestPage_link(t *testing.T) {
	asked := 0
	h := sceneHandler(t, func(o *PageOptions) {
		o.Lookup = func(context.Context, string) ([]Answer, error) {
			asked++
			return nil, errors.New("no list can be asked")
		}
	})
	w := getPage(t, h, "/?q=192.0.2.1", "Sec-Fetch-Site", "cross-site")
	if asked != 0 || !strings.Contains(w.Body.String(), "Another site&#39;s page") {
		t.Errorf("asked %d times by a link from elsewhere", asked)
	}
	w = getPage(t, h, "/?q=192.0.2.1", "Sec-Fetch-Site", "same-origin")
	if asked != 1 || !strings.Contains(w.Body.String(), "Looking it up: no list can be asked") {
		t.Errorf("asked %d times by the button, want 1", asked)
	}
}

// TestPage_busy bounds the look-ups that go on at once.
func TestPage_busy(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	h := sceneHandler(t, func(o *PageOptions) {
		o.Lookup = func(context.Context, string) ([]Answer, error) {
			inside <- struct{}{}
			<-leave
			return nil, nil
		}
	})
	done := make(chan int)
	for range pageLookups {
		go func() { done <- getPage(t, h, "/?q=192.0.2.1").Code }()
	}
	for range pageLookups {
		<-inside
	}
	if w := getPage(t, h, "/?q=192.0.2.1"); !strings.Contains(w.Body.String(), "try again in a moment") {
		t.Errorf("look-up %d was not refused", pageLookups+1)
	}
	close(leave)
	for range pageLookups {
		if code := <-done; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
}
