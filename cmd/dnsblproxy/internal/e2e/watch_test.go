package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWatch has an own address listed that an exemption covers: the command
// is run once and the webhook is posted to once, and not again after a
// restart.
func TestWatch(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"203.0.113.25": "127.0.0.2"})
	proxy := prepareProxy(t, ProxyOptions{Top: `state = "state"`})
	told := filepath.Join(proxy.dir, "told")
	posted := make(chan string, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		posted <- fmt.Sprint(r.Method, " ", r.URL, " ", string(body), err)
	}))
	t.Cleanup(hook.Close)
	proxy.writeConfig(t, zone("bl.example", "", list.Addr)+`
[allow.own]
cidr = ["203.0.113.25"]
[watch.outbound]
cidr = ["203.0.113.25", "203.0.113.26"]
notify = ["/bin/sh", "-c", "cat >> '`+told+`'"]
[watch.hook]
cidr = ["203.0.113.25"]
notify = ["`+hook.URL+`/?key=hush"]
`)
	proxy.launch(t)
	select {
	case got := <-posted:
		if !strings.HasPrefix(got, `POST /?key=hush {"event":"listed","watch":"hook","address":"203.0.113.25","zone":"bl.example"`) || !strings.HasSuffix(got, "}<nil>") {
			t.Errorf("the webhook got %s", got)
		}
	case <-time.After(startTimeout):
		t.Fatal("the webhook was not posted to")
	}
	eventually(t, startTimeout, "the command's line", func() error {
		text, err := os.ReadFile(told)
		if err == nil && len(text) == 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	// It is written down that the command has run before the server ends.
	proxy.Signal(t, syscall.SIGTERM)
	proxy.Wait(t, stopTimeout)
	before := list.AskedFor("203.0.113.26")
	proxy.launch(t)
	if n := proxy.metric(t, "dnsblproxy_watch_listed", `watch="outbound"`, `zone="bl.example"`); n != 1 {
		t.Errorf("after a restart dnsblproxy_watch_listed is %v, want 1", n)
	}
	eventually(t, startTimeout, "another look", func() error {
		if list.AskedFor("203.0.113.26") == before {
			return os.ErrNotExist
		}
		return nil
	})
	lines := strings.Split(strings.TrimSpace(read(t, told)), "\n")
	if len(lines) != 1 {
		t.Fatalf("told %d times, want once: %q", len(lines), lines)
	}
	var facts struct{ Event, Watch, Address, Zone string }
	if err := json.Unmarshal([]byte(lines[0]), &facts); err != nil {
		t.Fatal(err)
	}
	if len(posted) > 0 {
		t.Errorf("the webhook was posted to again: %s", <-posted)
	}
	if strings.Contains(proxy.Output(), "hush") {
		t.Error("the log tells the webhook's key")
	}
	if facts.Event != "listed" || facts.Watch != "outbound" || facts.Address != "203.0.113.25" || facts.Zone != "bl.example" {
		t.Errorf("told %+v", facts)
	}
	proxy.reload(t, zone("bl.example", "", list.Addr)+"[watch.other]\ncidr = [\"203.0.113.25\"]\n[allow.own]\ncidr = [\"203.0.113.25\"]\n")
	eventually(t, startTimeout, "the watch of the new configuration", func() error {
		page := proxy.page(t, "/metrics")
		if !strings.Contains(page, `dnsblproxy_watch_listed{watch="other",zone="bl.example"} 1`) || strings.Contains(page, `watch="outbound"`) {
			return errors.New("not in force")
		}
		return nil
	})
	if got := verdict(t, proxy.Addr, "203.0.113.25", "bl.example"); got != "unlisted" {
		t.Errorf("the exempt address is %s for others", got)
	}
}

// TestWatch_lyingList has lists that list everything from the start: own
// addresses are not told of before the tests have shown it.
func TestWatch_lyingList(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.Set(faultNamed("wildcard"))
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr) + `
[zone."score.example"]
source = "combined"
threshold = 1
weights = { "bl.example" = 1 }
[watch.outbound]
cidr = ["203.0.113.25"]
zones = ["bl.example", "score.example"]
`})
	proxy.quarantined(t, "bl.example")
	if n := list.AskedFor("203.0.113.25"); n != 0 || strings.Contains(proxy.Output(), "own address listed") {
		t.Errorf("the list was asked %d times about an own address before its tests had ended:\n%s", n, proxy.Output())
	}
}
