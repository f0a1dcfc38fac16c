package overrides

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dnsblproxy/overrides/spf"
)

var errServfail = errors.New("SERVFAIL")

// fakeDNS answers from maps. A name that is in none of them does not exist.
type fakeDNS struct {
	mu    sync.Mutex
	ttl   time.Duration
	txt   map[string]string
	hosts map[string]string // addresses, by spaces
	mx    map[string]string // hosts, by spaces; of reversed addresses too
	fail  map[string]bool
	slow  time.Duration
	asked map[string]int
	// exists decides about names that no map has; may be nil.
	exists func(name string) bool
}

func newFakeDNS() *fakeDNS {
	return &fakeDNS{
		ttl: 5 * time.Minute, txt: map[string]string{}, hosts: map[string]string{}, mx: map[string]string{},
		fail: map[string]bool{}, asked: map[string]int{},
	}
}

func (d *fakeDNS) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *fakeDNS) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[name]
}

func (d *fakeDNS) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	if d.slow > 0 && !wait(ctx, d.slow) {
		return spf.Answer{}, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[name]++
	if d.fail[name] || d.fail["*"] {
		return spf.Answer{}, errServfail
	}
	a := spf.Answer{TTL: d.ttl}
	switch t {
	case spf.TypeTXT:
		if s, ok := d.txt[name]; ok {
			a.Strings = []string{s}
		}
	case spf.TypeMX, spf.TypePTR:
		a.Hosts = strings.Fields(d.mx[name])
	default:
		for s := range strings.FieldsSeq(d.hosts[name]) {
			if ip := netip.MustParseAddr(s); ip.Is4() == (t == spf.TypeA) {
				a.Addrs = append(a.Addrs, ip)
			}
		}
		if len(a.Addrs) == 0 && t == spf.TypeA && d.exists != nil && d.exists(name) {
			a.Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.2")}
		}
	}
	a.NXDOMAIN = len(a.Strings)+len(a.Hosts)+len(a.Addrs) == 0
	return a, nil
}

// logBook is a log that tests look into.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// timeline is an engine running in a synctest bubble.
type timeline struct {
	*Engine
	t    *testing.T
	dns  *fakeDNS
	log  *logBook
	stop func()

	cancel func()
}

// start opens and runs an engine. It must be called in a bubble.
func start(t *testing.T, dns *fakeDNS, opts Options, rules ...Rule) *timeline {
	t.Helper()
	tl := &timeline{t: t, dns: dns, log: &logBook{}}
	opts.Log = slog.New(slog.NewTextHandler(tl.log, nil))
	if dns != nil {
		opts.Resolver = dns
	}
	e, err := Open(rules, opts)
	if err != nil {
		t.Fatal(err)
	}
	tl.Engine = e
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	tl.cancel = cancel
	tl.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(tl.stop)
	tl.elapse(100 * time.Millisecond)
	return tl
}

func (tl *timeline) elapse(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// has says whether an allow rule of any zone exempts the address.
func (tl *timeline) has(addr string) bool {
	_, ok := tl.Table().Lookup(netip.MustParseAddr(addr)).Allow("", time.Now().Unix())
	return ok
}

// want checks which addresses are exempt: those with a + in front, and not
// those with a -.
func (tl *timeline) want(when string, addrs ...string) {
	tl.t.Helper()
	for _, a := range addrs {
		if got, want := tl.has(a[1:]), a[0] == '+'; got != want {
			tl.t.Fatalf("%s: exempt(%s) = %t, want %t\n%s", when, a[1:], got, want, tl.log.b.String())
		}
	}
}

// status returns the only source's.
func (tl *timeline) status() SourceStatus {
	tl.t.Helper()
	st := tl.Status()
	if len(st) != 1 {
		tl.t.Fatalf("%d sources, want one", len(st))
	}
	return st[0]
}

func isReady(e *Engine) bool {
	select {
	case <-e.Ready():
		return true
	default:
		return false
	}
}

// allow is an enabled rule with one of everything that f sets.
func allow(f func(*Rule)) Rule {
	r := Rule{Name: "efax", Enabled: true, Pos: Position{"config.toml", 7}}
	f(&r)
	return r
}
