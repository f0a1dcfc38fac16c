package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/rbl"
)

// keyedConfig has a secret wherever one can stand.
const keyedConfig = `
[admin]
token = "hush-hush-hush"
[resolver]
servers = ["127.0.0.1:1"]
timeout = "20ms"
deadline = "40ms"
[zone."local.example"]
source = "deny"
[zone."zen.example"]
upstream = "sesamesesamesesame22.zen.dq.spamhaus.net"
budget = 1000
[allow.fax]
comment = "fax <b>service</b>"
cidr = ["198.51.100.25", "203.0.113.0/24"]
expires = 2099-12-31
[allow.feed]
url = "https://user:sesamesesamesesame22@127.0.0.1:1/feed?key=sesamesesamesesame22"
[deny.own]
zones = ["local.example"]
cidr = ["198.51.100.0/24"]
text = "by our own postmaster"
`

// wired is a server from a configuration, which listens nowhere.
func wired(t *testing.T, text string) *proxy {
	t.Helper()
	lists := rbl.Builtin()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := (&app{config: path, lists: lists}).load()
	if err != nil {
		t.Fatal(err)
	}
	d, err := newProxy(c, lists, slog.New(slog.DiscardHandler), stateRoot(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	t.Cleanup(d.startAside())
	return d
}

// adminOf wires a server from a configuration and returns what its admin
// address would serve.
func adminOf(t *testing.T, text string) (*proxy, http.Handler) {
	t.Helper()
	d := wired(t, text)
	page := d.page()
	return d, admin.NewHandler(admin.Options{
		Listen: netip.MustParseAddrPort("127.0.0.1:9353"), Gatherer: d.reg, API: d.api(), Page: page,
	})
}

func fetch(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9353"+path, nil))
	if w.Code != http.StatusOK {
		t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// TestPage_wired shows the real parts of a server on the page.
func TestPage_wired(t *testing.T) {
	d, h := adminOf(t, keyedConfig)
	d.decided(resolver.Decision{
		Time: time.Now(), Zone: "local.example", Subject: "198.51.100.66", Client: netip.MustParseAddr("127.0.0.1"),
		Verdict: resolver.Denied, Codes: []string{"127.0.0.2"}, Rule: "own", Source: "cidr",
	})
	for path, wants := range map[string][]string{
		"/": {
			"Spamhaus ZEN", "of 1,000", "fax &lt;b&gt;service&lt;/b&gt;", "until 2099-12-31", "url https://127.0.0.1:1/feed",
			`data-name="IPv4">257<`, "only in local.example", "/?q=198.51.100.66#lookup", "Which list is worth it",
		},
		"/?rule=fax":        {"What fax exempts", "<code>203.0.113.0/24</code>"},
		"/?q=198.51.100.66": {`<span class="verdict denied">denied</span>`, "by our own postmaster", "<dd>own "},
		"/?q=198.51.100.25": {`<span class="verdict exempt">exempt</span>`, `<a href="/?rule=fax#rule">fax</a>`},
		"/?q=nonsense..":    {`role="alert"`},
	} {
		body := fetch(t, h, path)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is not in the page", path, want)
			}
		}
	}
}

// TestState_off: of a list that is off nobody says that it is healthy.
func TestState_off(t *testing.T) {
	const text = rereadConfig + "[zone.\"bl.example\"]\nprobe = false\nmode = "
	for mode, known := range map[string]bool{"enforce": true, "off": false} {
		_, h := adminOf(t, strings.Replace(text+`"`+mode+`"`, "127.0.0.1:53\"", "127.0.0.1:1\"", 1))
		for path, healthy := range map[string]string{
			"/api/v1/zones": `"state": "healthy"`,
			"/metrics":      `dnsblproxy_list_state{state="healthy",zone="bl.example"} 1`,
			"/":             `1 asked, 1 of our own<`,
		} {
			if strings.Contains(fetch(t, h, path), healthy) != known {
				t.Errorf("mode %s: %s says healthy: %t, want %t", mode, path, !known, known)
			}
		}
	}
}

// dataConfig has a zone with data of its own.
func dataConfig(file string) string {
	return fmt.Sprintf("%s[zone.\"data.example\"]\nsource = \"file\"\nfiles = [\"ip4set:%s\"]\n", rereadConfig, file)
}

// TestState_data: whether data files can be read again is told wherever the
// state of a list is.
func TestState_data(t *testing.T) {
	file := filepath.Join(t.TempDir(), "entries")
	writeFile(t, file, "192.0.2.1\n")
	d, h := adminOf(t, dataConfig(file))
	b := d.backends["data.example"]
	b.stop() // the test itself has it look at the file
	for _, step := range []struct {
		name, text, state, reason, tile string
	}{
		{"good", "192.0.2.1\n", "healthy", "", "0 asked, 2 of our own<"},
		{"broken", "<html>\n", "suspect", "more lines are bad than good: 1 against 0; is it a ip4set file?; what was loaded at 20", "1 unwell<"},
		{"good again", "192.0.2.1\n", "healthy", "", "0 asked, 2 of our own<"},
		{"too old", "$TIMESTAMP 2001:01:01 +1d\n192.0.2.1\n", "suspect", "the data has expired on 2001-01-02", "1 unwell<"},
	} {
		writeFile(t, file, step.text)
		_ = b.data.Open(t.Context()) // the error is what the server tells of
		for path, want := range map[string]string{
			"/api/v1/zones": fmt.Sprintf(`"state": %q`, step.state),
			"/metrics":      fmt.Sprintf(`dnsblproxy_list_state{state=%q,zone="data.example"} 1`, step.state),
			"/":             step.tile,
		} {
			body := fetch(t, h, path)
			if !strings.Contains(body, want) || path != "/metrics" && !strings.Contains(body, step.reason) {
				t.Errorf("%s: %s lacks %q or %q", step.name, path, want, step.reason)
			}
		}
	}
}

// TestLookup_missing says what the question lacks, not what is wrong with it.
func TestLookup_missing(t *testing.T) {
	_, h := adminOf(t, rereadConfig)
	for path, want := range map[string]string{
		"/api/v1/lookup":          "q is missing; write ?q=192.0.2.1",
		"/api/v1/lookup?q=":       "q is missing; write ?q=192.0.2.1",
		"/api/v1/lookup?q=192.0.": `\"192.0.\" is neither an address nor a domain name`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9353"+path, nil))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d: %s, want 400 and %q", path, w.Code, w.Body, want)
		}
	}
}

// TestAdmin_secrets looks for keys, passwords and tokens in everything that
// the admin address serves.
func TestAdmin_secrets(t *testing.T) {
	t.Setenv("FEED_KEY", "HushHush")
	_, h := adminOf(t, strings.Replace(keyedConfig, "/feed?", "/${FEED_KEY}/feed?", 1))
	for _, path := range []string{
		"/", "/?q=192.0.2.1", "/?q=127.0.0.2", "/?rule=feed", "/metrics", "/api/v1/zones", "/api/v1/exemptions",
		"/api/v1/lookup?q=192.0.2.1", "/api/v1/lookup?q=127.0.0.2", "/api/v1/report",
	} {
		body := fetch(t, h, path)
		for _, secret := range []string{"sesame", "hush"} {
			if i := strings.Index(strings.ToLower(body), secret); i >= 0 {
				t.Errorf("%s tells a secret: ...%s...", path, body[max(0, i-60):min(len(body), i+40)])
			}
		}
	}
}

// TestPage_entries bounds what the page lists of a rule. Each has its line.
func TestPage_entries(t *testing.T) {
	var cidr []string
	for i := range 700 {
		cidr = append(cidr, fmt.Sprintf(`"10.%d.%d.1"`, i/250, i%250))
	}
	_, h := adminOf(t, strings.Replace(keyedConfig, `"203.0.113.0/24"`, strings.Join(cidr, ",\n"), 1))
	body := fetch(t, h, "/?rule=fax")
	if n := strings.Count(body, "<li><code>"); n != 500 || !strings.Contains(body, "The first 500 of 701") {
		t.Errorf("%d entries are shown", n)
	}
	if want := `<code>10.0.2.1</code> <span class="quiet">cidr, line 17</span>`; !strings.Contains(body, want) {
		t.Errorf("the page lacks %s", want)
	}
	var all []exemption
	if err := json.Unmarshal([]byte(fetch(t, h, "/api/v1/exemptions")), &all); err != nil {
		t.Fatal(err)
	}
	if e := all[2]; e.Entry != "10.0.2.1" || e.Line != 17 {
		t.Errorf("the API has %+v, want 10.0.2.1 of line 17", e)
	}
}
