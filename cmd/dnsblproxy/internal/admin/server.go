// Package admin serves what administrators and their machines look at over
// HTTP: metrics, health, the JSON API and the page.
//
//	/metrics          Prometheus, from the Gatherer that is handed in
//	/healthz          200 as long as the process runs
//	/readyz           200 when Ready says so, else 503 with its reason
//	/api/v1/NAME      the Endpoint of that name, as JSON
//	/                 the Page
//
// The package decides who may look, and how. On loopback the Host header has
// to name this machine, or a web page in the administrator's browser could
// read everything through a name of its own (DNS rebinding). Anywhere else a
// token and TLS are required. No request changes anything: methods other than
// GET and HEAD are refused. Health needs no token, for probes have none, and
// it tells nothing but its word.
//
// It does not know what it shows: endpoints are functions.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
)

// Options are what a Server shows, and to whom.
type Options struct {
	Listen  netip.AddrPort
	Token   string // "": none; required on anything but loopback
	TLSCert string // PEM file, with TLSKey; likewise
	TLSKey  string

	ReadFile func(path string) ([]byte, error) // of these two
	Gatherer prometheus.Gatherer
	Ready    func() error
	API      map[string]Endpoint // by the part of the path after /api/v1/
	Page     http.Handler        // for every other path
	Log      *slog.Logger
}

// Endpoint answers one question with a value that is sent as JSON. Several
// goroutines call it at once. An *Error chooses the status; any other error is
// a 500, and its text goes to the client as it is.
type Endpoint func(ctx context.Context, query url.Values) (any, error)

// Stream is an Endpoint's value of very many parts: an array that is sent while it
// is made, for several clients at once may want one of a hundred megabytes.
type Stream iter.Seq[any]

// Error is a refusal with an HTTP status.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// BadRequest makes an Error of what the client did wrong.
func BadRequest(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// Bounds on what one client, or many, can occupy.
const (
	maxConnections = 128
	maxQuestions   = 16 // API calls at once; others wait
	shutdownTime   = 5 * time.Second
	answerTime     = time.Minute // of one request; a profile of all lists takes that long
)

// Server is bound to its address from Open on.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Open checks the options and binds the address.
func Open(o Options) (*Server, error) {
	if !o.Listen.Addr().IsLoopback() && (o.Token == "" || o.TLSCert == "" || o.TLSKey == "") {
		return nil, fmt.Errorf("listening on %s: an address other than loopback needs a token, tls_cert and tls_key", o.Listen)
	}
	var config *tls.Config
	if o.TLSCert != "" || o.TLSKey != "" {
		pair, err := newPair(o)
		if err != nil {
			return nil, err
		}
		config = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	}
	l, err := net.Listen(network(o.Listen.Addr()), o.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("opening the admin address: %w", err) // it names the address
	}
	l = netutil.LimitListener(l, maxConnections)
	if config != nil {
		config.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, config)
	}
	return &Server{listener: l, http: &http.Server{
		Handler:           NewHandler(o),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      answerTime + 5*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}}, nil
}

// network keeps the families apart, as the DNS listeners do.
func network(a netip.Addr) string {
	if a.Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// Addr is the address that is bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends, lets the requests in flight finish for up to
// five seconds, and gives the address up. It is called once.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.http.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
