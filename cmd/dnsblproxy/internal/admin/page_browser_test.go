package admin

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// chromium runs a headless browser over the page, if DNSBLPROXY_CHROMIUM is
// set: it is large, and not everybody has it.
func chromium(t *testing.T, args ...string) (out string) {
	t.Helper()
	if os.Getenv("DNSBLPROXY_CHROMIUM") == "" {
		t.Skip("DNSBLPROXY_CHROMIUM is not set")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian: chromium)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--user-data-dir=" + t.TempDir(), "--enable-logging=stderr", "--virtual-time-budget=3000",
	}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, &stderr)
	}
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") || strings.Contains(line, "Content Security Policy") {
			t.Errorf("the browser complains: %s", line)
		}
	}
	return stdout.String()
}

// TestBrowser_renews lets twelve seconds go by, in the browser's own time: it
// has to show a later moment than it first did, must not have looked up again
// what was asked once, and leaves the table open that somebody has opened.
func TestBrowser_renews(t *testing.T) {
	const closed, opened = `<details id="figures">`, `<details id="figures" open="">`
	var pages, lookups atomic.Int64
	o := scene(t)
	o.Now = func() time.Time { return sceneNow().Add(time.Duration(pages.Add(1)) * time.Minute) }
	o.Lookup = func(context.Context, string) ([]Answer, error) {
		lookups.Add(1)
		return sceneAnswers(), nil
	}
	page := NewPage(o)
	h := NewHandler(Options{Listen: netip.MustParseAddrPort("127.0.0.1:9353"), Page: page})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pages.Load() > 0 {
			h.ServeHTTP(w, r)
			return
		}
		first := httptest.NewRecorder()
		h.ServeHTTP(first, r)
		maps.Copy(w.Header(), first.Header())
		_, _ = w.Write([]byte(strings.Replace(first.Body.String(), closed, opened, 1))) // fails when the browser has gone
	}))
	defer srv.Close()
	dom := chromium(t, "--virtual-time-budget=12000", "--dump-dom", srv.URL+"/?q=198.51.100.9")
	if !strings.Contains(dom, `<time datetime="2026-11-20T14:34:07Z">14:34:07</time>`) || pages.Load() != 2 {
		t.Errorf("the page was fetched %d times, want 2, and does not show the later time", pages.Load())
	}
	if !strings.Contains(dom, opened) {
		t.Error("the table was closed when the page renewed itself")
	}
	if lookups.Load() != 1 || !strings.Contains(dom, "the exemption removes 127.0.0.3") {
		t.Errorf("it was looked up %d times, want once, and has to be shown still", lookups.Load())
	}
}

// sceneServer serves the scene on loopback.
func sceneServer(t *testing.T) string {
	t.Helper()
	page := NewPage(scene(t))
	srv := httptest.NewServer(NewHandler(Options{Listen: netip.MustParseAddrPort("127.0.0.1:9353"), Page: page}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestBrowser_script sees that the script runs under the page's own policy.
// What the page says without it, TestPage reads.
func TestBrowser_script(t *testing.T) {
	dom := chromium(t, "--dump-dom", sceneServer(t)+"/?q=198.51.100.9")
	for _, want := range []string{`class="readout"`, ">pause</button>", "the exemption removes 127.0.0.3"} {
		if !strings.Contains(dom, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

// TestBrowser_screenshots makes the pictures in docs/. They are looked at by
// people; the test sees only that they are there, and small.
func TestBrowser_screenshots(t *testing.T) {
	url := sceneServer(t)
	for _, shot := range []struct{ name, path, size, scheme string }{
		{"page-light.png", "/", "1280,2150", "1"},
		{"page-dark.png", "/?q=198.51.100.9", "1280,1750", "0"},
		{"page-narrow.png", "/?q=198.51.100.9", "500,2500", "1"},
	} {
		t.Run(shot.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), shot.name)
			chromium(t, "--screenshot="+file, "--window-size="+shot.size, "--blink-settings=preferredColorScheme="+shot.scheme, url+shot.path)
			picture, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(picture) < 20<<10 || len(picture) > 400<<10 {
				t.Errorf("%s has %d bytes", shot.name, len(picture))
			}
			if err := os.WriteFile(filepath.Join("../../../../docs", shot.name), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}
