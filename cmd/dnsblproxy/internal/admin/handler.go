package admin

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewHandler returns the handler behind a Server, guards included.
func NewHandler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { word(w, http.StatusOK, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			word(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		word(w, http.StatusOK, "ready")
	})
	mux.Handle("/metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	questions := make(chan struct{}, maxQuestions)
	for name, endpoint := range o.API {
		mux.HandleFunc("/api/v1/"+name, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), answerTime)
			defer cancel()
			select {
			case questions <- struct{}{}:
				defer func() { <-questions }()
			case <-ctx.Done():
				fail(w, &Error{http.StatusServiceUnavailable, "too many questions at once"})
				return
			}
			v, err := endpoint(ctx, r.URL.Query())
			if err != nil {
				fail(w, err)
				return
			}
			send(w, http.StatusOK, v)
		})
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &Error{http.StatusNotFound, "no such part of the API: " + r.URL.Path})
	})
	mux.Handle("/", o.Page)
	return guard(o, mux)
}

// contentPolicy lets the page load what we serve, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// guard decides who may look before anything is looked at.
func guard(o Options, next http.Handler) http.Handler {
	loopback := o.Listen.Addr().IsLoopback()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			fail(w, &Error{http.StatusMethodNotAllowed, "only GET and HEAD: nothing can be changed here"})
		case loopback && !localHost(r.Host):
			fail(w, &Error{http.StatusMisdirectedRequest, "the Host header has to name this machine, such as 127.0.0.1 or localhost"})
		case r.Header.Get("Sec-Fetch-Site") == "cross-site" && strings.HasPrefix(r.URL.Path, "/api/"):
			fail(w, &Error{http.StatusForbidden, "another site's page may not ask"})
		case o.Token != "" && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && !authorized(r, o.Token):
			h.Add("WWW-Authenticate", `Bearer realm="dnsblproxy"`)
			h.Add("WWW-Authenticate", `Basic realm="dnsblproxy"`)
			fail(w, &Error{http.StatusUnauthorized, `send the token of the configuration as "Authorization: Bearer TOKEN"`})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// authorized compares the token in constant time. Browsers, which know no
// Bearer, may send it as the password of Basic.
func authorized(r *http.Request, token string) bool {
	got := ""
	if _, password, ok := r.BasicAuth(); ok {
		got = password
	} else if scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		got = strings.TrimSpace(rest)
	}
	// Hashed first, so that the comparison does not tell the length either.
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// localHost says whether a Host header names the loopback interface.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}

// word answers in plain text.
func word(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // fails when the client has gone
}

// fail answers with {"error": "..."}.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var e *Error
	switch {
	case errors.As(err, &e):
		status = e.Status
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	}
	send(w, status, map[string]string{"error": err.Error()})
}

// send answers with a value as JSON.
func send(w http.ResponseWriter, status int, v any) {
	if parts, ok := v.(Stream); ok {
		sendParts(w, parts)
		return
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error": "the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // fails when the client has gone
}

// sendParts answers with an array. What fails half-way leaves it without its end.
func sendParts(w http.ResponseWriter, parts Stream) {
	w.Header().Set("Content-Type", "application/json")
	b := bufio.NewWriterSize(w, 64<<10)
	before, end := "[\n  ", "[]\n"
	for v := range parts {
		text, err := json.MarshalIndent(v, "  ", "  ")
		if err == nil {
			_, err = fmt.Fprintf(b, "%s%s", before, text)
		}
		if err != nil {
			return // v has no JSON form, or the client has gone
		}
		before, end = ",\n  ", "\n]\n"
	}
	_, _ = b.WriteString(end)
	_ = b.Flush()
}
