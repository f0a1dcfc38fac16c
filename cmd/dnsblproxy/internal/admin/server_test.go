package admin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func testOptions(t *testing.T) Options {
	t.Helper()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "dnsblproxy_test_total", Help: "A test."})
	reg.MustRegister(c)
	c.Add(7)
	return Options{
		Listen:   netip.MustParseAddrPort("127.0.0.1:0"),
		Gatherer: reg,
		ReadFile: os.ReadFile,
		Ready:    func() error { return nil },
		Page:     http.NotFoundHandler(),
		Log:      slog.New(slog.DiscardHandler),
		API: map[string]Endpoint{
			"zones": func(context.Context, url.Values) (any, error) {
				return []map[string]string{{"zone": "bl.example.org"}}, nil
			},
			"lookup": func(_ context.Context, q url.Values) (any, error) {
				switch q.Get("q") {
				case "":
					return nil, BadRequest("q is missing; write ?q=%s", "192.0.2.1")
				case "slow":
					return nil, context.DeadlineExceeded
				case "broken":
					return nil, errors.New("no list can be asked")
				case "odd":
					return make(chan int), nil
				}
				return map[string]string{"q": q.Get("q")}, nil
			},
		},
	}
}

func TestHandler(t *testing.T) {
	notReady := func(o *Options) { o.Ready = func() error { return errors.New("rule efax is not loaded yet") } }
	token := func(o *Options) { o.Token = "hush" }
	remote := func(o *Options) { o.Listen = netip.MustParseAddrPort("192.0.2.1:9353"); o.Token = "hush" }
	page := func(o *Options) { o.Page = http.NotFoundHandler() }
	tests := []struct {
		name    string
		with    func(*Options)
		request string // "METHOD host path", then header lines
		status  int
		body    string // contained
	}{
		{"alive", nil, "GET localhost /healthz", 200, "ok\n"},
		{"ready without a judge", nil, "GET localhost /readyz", 200, "ready\n"},
		{"not ready", notReady, "GET localhost /readyz", 503, "rule efax is not loaded yet"},
		{"alive when not ready", notReady, "GET localhost /healthz", 200, "ok"},
		{"metrics", nil, "GET 127.0.0.1:9353 /metrics", 200, "dnsblproxy_test_total 7"},
		{"zones", nil, "GET [::1]:9353 /api/v1/zones", 200, `"zone": "bl.example.org"`},
		{"lookup", nil, "GET localhost:9353 /api/v1/lookup?q=192.0.2.1", 200, `"q": "192.0.2.1"`},
		{"lookup of nothing", nil, "GET localhost /api/v1/lookup", 400, `{
  "error": "q is missing; write ?q=192.0.2.1"
}`},
		{"lookup that fails", nil, "GET localhost /api/v1/lookup?q=broken", 500, "no list can be asked"},
		{"lookup out of time", nil, "GET localhost /api/v1/lookup?q=slow", 504, "deadline"},
		{"answer without JSON", nil, "GET localhost /api/v1/lookup?q=odd", 500, `"error"`},
		{"unknown part of the API", nil, "GET localhost /api/v1/nothing", 404, `"error": "no such part of the API: /api/v1/nothing"`},
		{"no page", nil, "GET localhost /", 404, ""},
		{"page", page, "GET localhost /", 404, "404 page not found"},
		{"POST", nil, "POST localhost /api/v1/zones", 405, "only GET and HEAD"},
		{"DELETE of health", nil, "DELETE localhost /healthz", 405, "only GET and HEAD"},
		{"HEAD", nil, "HEAD localhost /api/v1/zones", 200, ""},
		{"a name that was rebound", nil, "GET attacker.example /metrics", 421, "Host header"},
		{"a name that begins right", nil, "GET 127.0.0.1.attacker.example:9353 /healthz", 421, "Host header"},
		{"no Host", nil, "GET - /healthz", 421, "Host header"},
		{"any name where a token guards", remote, "GET mail.example.org /metrics\nAuthorization: Bearer hush", 200, "dnsblproxy_test_total"},
		{"without the token", token, "GET localhost /metrics", 401, "Authorization: Bearer TOKEN"},
		{"with a wrong token", token, "GET localhost /metrics\nAuthorization: Bearer hus", 401, ""},
		{"with an empty token", token, "GET localhost /metrics\nAuthorization: Bearer ", 401, ""},
		{"with the token of another scheme", token, "GET localhost /metrics\nAuthorization: Digest hush", 401, ""},
		{"as a browser sends it", token, "GET localhost /metrics\nAuthorization: Basic eDpodXNo", 200, "dnsblproxy_test_total"},
		{"health without the token", token, "GET localhost /healthz", 200, "ok"},
		{"page without the token", token, "GET localhost /", 401, ""},
		{"the API for another site's page", nil, "GET localhost /api/v1/zones\nSec-Fetch-Site: cross-site", 403, "another site"},
		{"the API for our page", nil, "GET localhost /api/v1/zones\nSec-Fetch-Site: same-origin", 200, "bl.example.org"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := testOptions(t)
			if tt.with != nil {
				tt.with(&o)
			}
			first, headers, _ := strings.Cut(tt.request, "\n")
			f := strings.Fields(first)
			r := httptest.NewRequest(f[0], f[2], nil)
			if r.Host = f[1]; r.Host == "-" {
				r.Host = ""
			}
			if key, v, ok := strings.Cut(headers, ": "); ok {
				r.Header.Set(key, v)
			}
			w := httptest.NewRecorder()
			NewHandler(o).ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s = %d %q, want %d with %q", first, w.Code, w.Body, tt.status, tt.body)
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy = %q", csp)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers = %v", w.Header())
			}
			if strings.Contains(w.Body.String(), "hush") {
				t.Errorf("the answer tells the token: %s", w.Body)
			}
		})
	}
}

// TestTooManyQuestions: a question too many waits for its turn, which may take
// as long as an answer; health does not.
func TestTooManyQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t)
		leave := make(chan struct{})
		o.API["hold"] = func(context.Context, url.Values) (any, error) {
			<-leave
			return nil, nil
		}
		h := NewHandler(o)
		ask := func(path string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "localhost"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		codes := make(chan int)
		for range maxQuestions {
			go func() { codes <- ask("/api/v1/hold") }()
		}
		synctest.Wait()
		if code := ask("/healthz"); code != http.StatusOK {
			t.Errorf("health under load = %d, want 200", code)
		}
		if code := ask("/api/v1/zones"); code != http.StatusServiceUnavailable {
			t.Errorf("one question too many = %d, want 503 after a while", code)
		}
		go func() { codes <- ask("/api/v1/zones") }()
		synctest.Wait()
		close(leave)
		for range maxQuestions + 1 {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("a question that was held, or waited = %d, want 200", code)
			}
		}
	})
}

// TestStream: an answer of many parts reads as any other, and leaves while it is
// made.
func TestStream(t *testing.T) {
	type part struct{ Name, Text string }
	for _, n := range []int{0, 1, 2, 10_000} {
		o := testOptions(t)
		all, w := []part{}, httptest.NewRecorder()
		for i := range n {
			all = append(all, part{fmt.Sprint(i), "a <b>, as long as a line"})
		}
		o.API["parts"] = func(context.Context, url.Values) (any, error) {
			return Stream(func(yield func(any) bool) {
				made := 0
				for _, p := range all {
					made += 60
					if held := made - w.Body.Len(); held > 100<<10 {
						t.Errorf("%d bytes are held back", held)
					}
					yield(p)
				}
			}), nil
		}
		r := httptest.NewRequest("GET", "/api/v1/parts", nil)
		r.Host = "localhost"
		NewHandler(o).ServeHTTP(w, r)
		want, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Body.String(); got != string(want)+"\n" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%d parts: got %.200q, want %.200q", n, got, want)
		}
	}
}

// start runs a server until the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return s
}

func TestServerFinishesWhatIsInFlight(t *testing.T) {
	o := testOptions(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	o.API["hold"] = func(ctx context.Context, _ url.Values) (any, error) {
		close(entered)
		<-leave
		return "held", ctx.Err()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr().String() + "/api/v1/hold")
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		body <- string(text)
	}()
	<-entered
	cancel()
	close(leave)
	if got := <-body; got != "\"held\"\n" {
		t.Errorf("the question in flight got %q", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("the address is still bound")
	}
}

func TestAddressInUse(t *testing.T) {
	s := start(t, testOptions(t))
	o := testOptions(t)
	o.Listen = netip.MustParseAddrPort(s.Addr().String())
	if second, err := Open(o); err == nil {
		second.listener.Close()
		t.Error("a second server binds the same address")
	} else if !strings.HasPrefix(err.Error(), "opening the admin address: ") {
		t.Errorf("it fails with %q, which does not say what the address is for", err)
	}
}

func TestPublicAddressNeedsTokenAndTLS(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), 1)
	for _, o := range []Options{
		{Listen: netip.MustParseAddrPort("0.0.0.0:0")},
		{Listen: netip.MustParseAddrPort("0.0.0.0:0"), Token: "hush"},
		{Listen: netip.MustParseAddrPort("0.0.0.0:0"), TLSCert: cert, TLSKey: key},
	} {
		if s, err := Open(o); err == nil {
			s.listener.Close()
			t.Errorf("Open(%+v) listens", o)
		}
	}
}

// writePair makes a certificate for 127.0.0.1 with that serial number.
func writePair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t)
	o.TLSCert, o.TLSKey = writePair(t, dir, 1)
	var log bytes.Buffer // written during handshakes, which end before it is read
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := start(t, o)
	serial := func() string {
		c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if got := serial(); got != "1" {
		t.Errorf("serial %s, want 1", got)
	}
	writePair(t, dir, 2)
	later := time.Now().Add(time.Minute)
	for _, f := range []string{o.TLSCert, o.TLSKey} {
		if err := os.Chtimes(f, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if got := serial(); got != "2" {
		t.Errorf("serial after the renewal %s, want 2", got)
	}
	if err := os.WriteFile(o.TLSCert, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := serial(); got != "2" {
			t.Errorf("serial after a broken renewal %s, want 2", got)
		}
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), `level=WARN msg="admin certificate not renewed`) {
		t.Errorf("the log says %q, want one line about the renewal", &log)
	}
	if resp, err := http.Get("http://" + s.Addr().String() + "/healthz"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("answers without TLS")
		}
	}
	o.TLSCert = filepath.Join(dir, "none.pem")
	if s, err := Open(o); err == nil {
		s.listener.Close()
		t.Error("opens without the certificate")
	}
}
