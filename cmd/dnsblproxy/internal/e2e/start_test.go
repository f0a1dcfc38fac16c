package e2e

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestStart_firstAnswer asks from the moment of the start on. A source that
// takes a while must be in force in the very first answer: an exempt sender
// is not refused because the proxy was just restarted.
func TestStart_firstAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		delay time.Duration // of the feed
		want  string        // the first answer for the address of the feed
		most  time.Duration // until that answer
	}{
		{"a slow feed", time.Second, "unlisted", 5 * time.Second},
		{"a feed that hangs", time.Minute, "listed 127.0.0.2", 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := startFaulty(t, "bl.example")
			list.List(map[string]string{"192.0.2.10": "127.0.0.2", "192.0.2.11": "127.0.0.2"})
			feed := startFeed(t)
			feed.set(func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(c.delay):
				case <-r.Context().Done():
				}
				w.Write([]byte(published("192.0.2.10/32")))
			})
			proxy := prepareProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr) +
				fmt.Sprintf("[allow.feed]\nurl = %q\n[allow.hand]\ncidr = [\"192.0.2.11\"]\n", feed.url)})
			first := make(chan string, 1)
			began, started := time.Now(), awake()()
			go func() {
				got := "nothing"
				poll(startTimeout, func() error {
					c := dns.Client{Timeout: 2 * time.Second}
					m, _, err := c.Exchange(new(dns.Msg).SetQuestion(reverse("192.0.2.10", "bl.example"), dns.TypeA), proxy.Addr.String())
					if err == nil {
						got = summary(m)
					}
					return err
				})
				first <- got
			}()
			proxy.launch(t)
			got, want := <-first, c.want
			if time.Since(began) > 4*time.Second && strings.Contains(proxy.Output(), "sources are not loaded yet") {
				want = "listed 127.0.0.2" // the machine stood still, and as long as it waits went by
			}
			if got != want {
				t.Errorf("the first answer is %q, want %q", got, want)
			}
			if took := since(started); took > c.most {
				t.Errorf("it took %v to the first answer, want %v at most", took, c.most)
			}
			if got := verdict(t, proxy.Addr, "192.0.2.11", "bl.example"); got != "unlisted" {
				t.Errorf("an address exempt by hand is %s", got)
			}
		})
	}
}

// TestStart_kill9 kills the proxy while it serves and starts it again.
func TestStart_kill9(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	feed := startFeed(t)
	feed.document(published("192.0.2.10/32"))
	list.List(map[string]string{"192.0.2.10": "127.0.0.2"})
	proxy := prepareProxy(t, ProxyOptions{
		Top:    `state = "state"`,
		Config: zone("bl.example", "", list.Addr) + fmt.Sprintf("[allow.feed]\nurl = %q\nrefresh = \"1s\"\n", feed.url),
	})
	first := startProcess(t, nil, program(), "serve", "--config", proxy.configFile())
	first.ready(t, answers(proxy.Addr, "bl.example"))
	if got := verdict(t, proxy.Addr, "192.0.2.10", "bl.example"); got != "unlisted" {
		t.Errorf("an address of the feed is %s", got)
	}
	// It answers before the disk has what the feed said.
	eventually(t, stopTimeout, "the feed's set to be kept", func() error {
		if kept, err := filepath.Glob(filepath.Join(proxy.dir, "state", "sources", "*.set")); err != nil || len(kept) == 0 {
			return fmt.Errorf("no file, %w", cmp.Or(err, fs.ErrNotExist))
		}
		return nil
	})
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait(t, stopTimeout)
	feed.set(http.NotFound)
	proxy.launch(t)
	verdicts(t, "after kill -9 and with the feed gone", proxy.Addr, "bl.example", map[string]string{"192.0.2.66": "listed 127.0.0.2", "192.0.2.10": "unlisted"})
}
