package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// mentions returns an error unless the text holds all of the words.
func mentions(text string, words ...string) error {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("no %q in:\n%s", word, tail(text, 20))
		}
	}
	return nil
}

// lineOf is the number of the first line that starts with the prefix.
func lineOf(t testing.TB, path, prefix string) int {
	t.Helper()
	for i, line := range strings.Split(read(t, path), "\n") {
		if strings.HasPrefix(line, prefix) {
			return i + 1
		}
	}
	t.Fatalf("no line of %s starts with %q", path, prefix)
	return 0
}

// TestReload_underLoad swaps zones and rules while clients ask without a
// pause. No question may go unanswered, and none may be answered by half.
func TestReload_underLoad(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	base := zone("bl.example", "", list.Addr)
	proxy := startProxy(t, ProxyOptions{Config: base})

	var asked, wrong atomic.Int64
	var first atomic.Value
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				m := new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA)
				answer, _, err := exchange("udp", proxy.Addr, m)
				asked.Add(1)
				if err == nil && summary(answer) != "listed 127.0.0.2" {
					err = errors.New(summary(answer))
				}
				if err != nil {
					wrong.Add(1)
					first.CompareAndSwap(nil, err)
				}
			}
		})
	}
	for n := range 20 {
		extra := fmt.Sprintf("extra%d.example", n)
		proxy.reload(t, base+zone(extra, "", list.Addr)+fmt.Sprintf("[allow.r%d]\ncidr = [\"198.51.100.%d\"]\n", n, n))
		becomes(t, exemptWithin, proxy.Addr, "192.0.2.1", extra, "unlisted")
	}
	close(stop)
	clients.Wait()
	t.Logf("%d questions during 20 reloads", asked.Load())
	if wrong.Load() != 0 {
		t.Errorf("%d of %d questions went wrong, the first: %v", wrong.Load(), asked.Load(), first.Load())
	}
}

// TestReload_brokenFile keeps on serving what it served.
func TestReload_brokenFile(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	base := zone("bl.example", "", list.Addr) + "[allow.some]\ncidr = [\"192.0.2.67\"]\n"
	proxy := startProxy(t, ProxyOptions{Config: base})
	if proxy.metric(t, "dnsblproxy_config_last_reload_successful") != 1 {
		t.Error("config_last_reload_successful is not 1 after the start")
	}
	proxy.reload(t, base+"nonsense = [\n")
	eventually(t, exemptWithin, "the failed reload to be reported", func() error {
		if proxy.metric(t, "dnsblproxy_config_last_reload_successful") != 0 {
			return errors.New("config_last_reload_successful is still 1")
		}
		return mentions(proxy.Output(), "config.toml:")
	})
	verdicts(t, "after a broken reload", proxy.Addr, "bl.example", map[string]string{"192.0.2.66": "listed 127.0.0.2", "192.0.2.67": "unlisted"})
	proxy.reload(t, base)
	eventually(t, exemptWithin, "the mended file to be read", func() error {
		if proxy.metric(t, "dnsblproxy_config_last_reload_successful") != 1 {
			return errors.New("config_last_reload_successful is still 0")
		}
		return nil
	})
}

// TestTerminate_answersInFlight asks a slow list and terminates the proxy
// while it waits, over UDP and TCP.
func TestTerminate_answersInFlight(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2", "192.0.2.67": "127.0.0.2"})
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "probe = false", list.Addr)})
	list.Set(Fault{delay: 700 * time.Millisecond})

	type result struct {
		network string
		answer  *dns.Msg
		err     error
	}
	results := make(chan result, 2)
	for network, subject := range map[string]string{"udp": "192.0.2.66", "tcp": "192.0.2.67"} {
		go func() {
			answer, _, err := exchange(network, proxy.Addr, new(dns.Msg).SetQuestion(reverse(subject, "bl.example"), dns.TypeA))
			results <- result{network, answer, err}
		}()
	}
	eventually(t, soon, "both questions to reach the list", func() error {
		if list.AskedFor("192.0.2.66") == 0 || list.AskedFor("192.0.2.67") == 0 {
			return errors.New("not asked yet")
		}
		return nil
	})
	proxy.Signal(t, syscall.SIGTERM)
	for range 2 {
		r := <-results
		if r.err != nil {
			t.Errorf("%s question in flight at SIGTERM: %v", r.network, r.err)
		} else if got := summary(r.answer); got != "listed 127.0.0.2" {
			t.Errorf("%s question in flight at SIGTERM: %s", r.network, got)
		}
	}
	if code := proxy.Wait(t, stopTimeout); code != 0 {
		t.Errorf("status %d after SIGTERM, want 0", code)
	}
}

// TestTerminate_silentList: who waits for a list that says nothing is waited for
// no longer than anybody else, whatever the deadline of questions is.
func TestTerminate_silentList(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "probe = false", list.Addr)})
	list.Set(faultNamed("silent"))
	conn, err := net.Dial("udp", proxy.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(packed(new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA))); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "the question to reach the list", func() error {
		if list.AskedFor("192.0.2.66") == 0 {
			return errors.New("not asked yet")
		}
		return nil
	})
	started := awake()()
	proxy.Signal(t, syscall.SIGTERM)
	code := proxy.Wait(t, 2*stopTimeout)
	if took := since(started); code != 0 || took > 10*time.Second {
		t.Errorf("status %d after %v, want 0 after the five seconds that the last questions have", code, took)
	}
}

// TestSecondInstance must not steal questions from the first.
func TestSecondInstance(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr)})
	text := strings.Replace(read(t, proxy.configFile()), ":9353", ":9354", 1)
	second := write(t, proxy.dir, "second.toml", text)
	p := startProcess(t, nil, program(), "serve", "--config", second)
	if code := p.Wait(t, startTimeout); code != 1 {
		t.Errorf("a second instance on the same address left with status %d, want 1", code)
	}
	if err := mentions(p.Output(), proxy.Addr.String(), "in use"); err != nil {
		t.Error(err)
	}
	if got := verdict(t, proxy.Addr, "192.0.2.1", "bl.example"); got != "unlisted" {
		t.Errorf("the first instance answers %s", got)
	}
}

// TestClients refuses who is not in clients, and answers who is.
func TestClients(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	friend := freeIP(t)
	proxy := startProxy(t, ProxyOptions{
		Top:    fmt.Sprintf("clients = [\"%s\"]", friend),
		Config: zone("bl.example", "", list.Addr),
	})
	for from, want := range map[netip.Addr]string{friend: "listed 127.0.0.2", freeIP(t): "failed REFUSED"} {
		for _, network := range []string{"udp", "tcp"} {
			var local net.Addr = &net.UDPAddr{IP: from.AsSlice()}
			if network == "tcp" {
				local = &net.TCPAddr{IP: from.AsSlice()}
			}
			c := dns.Client{Net: network, Timeout: clientTimeout, Dialer: &net.Dialer{LocalAddr: local, Timeout: clientTimeout}}
			m, _, err := c.Exchange(new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA), proxy.Addr.String())
			if err != nil {
				t.Errorf("asking as %v over %s: %v", from, network, err)
			} else if got := summary(m); got != want {
				t.Errorf("asking as %v over %s: %s, want %s", from, network, got, want)
			}
		}
	}
}

// TestReload_flushesZone changes what counts as listed in one of two zones: what is
// cached of that one is void, whatever the shape of the question.
func TestReload_flushesZone(t *testing.T) {
	t.Parallel()
	subjects := map[string]string{"192.0.2.66": "127.0.0.4", "2001:db8::66": "127.0.0.4", "bad.example": "127.0.0.4"}
	changed, same := startFaulty(t, "changed.example"), startFaulty(t, "same.example")
	changed.List(subjects)
	same.List(subjects)
	other := zone("same.example", "", same.Addr)
	proxy := startProxy(t, ProxyOptions{Config: other + zone("changed.example", "", changed.Addr)})
	asked := func(when string, want int) {
		t.Helper()
		for subject := range subjects {
			if n := changed.AskedFor(subject); n != want {
				t.Errorf("%s: the list of the changed zone was asked %d times about %s, want %d", when, n, subject, want)
			}
			if n := same.AskedFor(subject); n != 1 {
				t.Errorf("%s: the list of the other zone was asked %d times about %s, want 1", when, n, subject)
			}
		}
	}
	want := map[string]string{}
	for subject, code := range subjects {
		want[subject] = "listed " + code
	}
	for range 2 {
		verdicts(t, "at the start", proxy.Addr, "changed.example", want)
		verdicts(t, "at the start", proxy.Addr, "same.example", want)
	}
	asked("at the start", 1)
	proxy.reload(t, other+zone("changed.example", `listed = ["127.0.0.2-127.0.0.9"]`, changed.Addr)+"[deny.new]\nzones = [\"changed.example\"]\ncidr = [\"198.51.100.1\"]\n")
	becomes(t, exemptWithin, proxy.Addr, "198.51.100.1", "changed.example", "listed 127.0.0.2")
	verdicts(t, "after the reload", proxy.Addr, "changed.example", want)
	verdicts(t, "after the reload", proxy.Addr, "same.example", want)
	asked("after the reload", 2)
}
