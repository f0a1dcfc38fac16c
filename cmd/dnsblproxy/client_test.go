package main

import (
	"bufio"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// adminAt is a configuration whose server is at that address.
func adminAt(addr string) *config.Config {
	c := config.Defaults()
	c.Admin.Listen = netip.MustParseAddrPort(addr)
	c.Admin.Token = "hush"
	return c
}

func TestClient(t *testing.T) {
	peers := map[string]bool{} // one question after the other
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr] = true
		switch {
		case r.Header.Get("Authorization") != "Bearer hush":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/api/v1/echo":
			w.Write([]byte(`"` + r.URL.Query().Get("q") + `"`))
		case r.URL.Path == "/api/v1/refuse":
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error": "q is missing"}`))
		case r.URL.Path == "/api/v1/page":
			w.Write([]byte("<html>"))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	cl, err := newClient(adminAt(addr))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := cl.get(t.Context(), "echo", url.Values{"q": {"a&b ü"}}, &got); err != nil || got != "a&b ü" {
		t.Errorf("get = %q, %v", got, err)
	}
	for path, want := range map[string]string{
		"refuse":  "the server at " + addr + " says: q is missing",
		"nothing": "the server at " + addr + " says: 404 Not Found",
		"page":    "what answers at " + addr + " is no server of ours",
	} {
		err := cl.get(t.Context(), path, nil, &got)
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, errNoServer) {
			t.Errorf("get(%s) = %v, want %s", path, err, want)
		}
	}
	if len(peers) != 1 {
		t.Errorf("%d connections, want one for all questions", len(peers))
	}
	if err := cl.alive(t.Context()); err != nil {
		t.Errorf("alive = %v", err)
	}
	cl.token = "changed since"
	if err := cl.get(t.Context(), "echo", nil, &got); err == nil || err.Error() != "the server at "+addr+" was started with another admin.token than this configuration has; restart it" {
		t.Errorf("get with another token = %v", err)
	}
	server.Close()
	if err := cl.alive(t.Context()); !errors.Is(err, errNoServer) {
		t.Errorf("alive without a server = %v, want errNoServer", err)
	}
	if err := cl.get(t.Context(), "echo", nil, &got); !errors.Is(err, errNoServer) {
		t.Errorf("get from nobody = %v, want errNoServer", err)
	}
	off := config.Defaults()
	off.Admin.Listen = netip.AddrPort{}
	if _, err := newClient(off); !errors.Is(err, errNoServer) {
		t.Errorf("newClient without admin = %v, want errNoServer", err)
	}
}

// TestClientHung holds that nobody waits long for a server that takes the
// connection and says nothing.
func TestClientHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, err := newClient(adminAt("127.0.0.1:9353"))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go io.Copy(io.Discard, theirs)
		cl.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
		start := time.Now()
		err = cl.alive(t.Context())
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("waited %v", took)
		}
		const want = "no server answers at 127.0.0.1:9353: it is silent for 5s"
		if !errors.Is(err, errNoServer) || err.Error() != want {
			t.Errorf("alive = %v, want %s", err, want)
		}
	})
}

// TestClient_long: of a long array no more than an element is kept as text. Here
// the second is sent when the first was taken out.
func TestClient_long(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ rest, want string }{
			{"2]\n", "<nil>"},
			{"2", "asking the server at 127.0.0.1:9353: EOF"},
			{"2,\"x", "asking the server at 127.0.0.1:9353: unexpected EOF"},
			{"x]", "what answers at 127.0.0.1:9353 is no server of ours: invalid character 'x' looking for beginning of value"},
		} {
			cl, err := newClient(adminAt("127.0.0.1:9353"))
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := net.Pipe()
			cl.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
			taken := make(chan int, 2)
			go func() {
				defer theirs.Close()
				if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
					t.Error(err)
				}
				io.WriteString(theirs, "HTTP/1.1 200 OK\r\n\r\n[1,\n")
				<-taken
				io.WriteString(theirs, tt.rest)
			}()
			if err := each(t.Context(), cl, "x", func(n int) { taken <- n }); fmt.Sprint(err) != tt.want {
				t.Errorf("with %q: %v, want %s", tt.rest, err, tt.want)
			}
		}
	})
}

// TestClientTrustsOneCertificate holds that the token goes to nobody but the
// server that has the certificate of the configuration.
func TestClientTrustsOneCertificate(t *testing.T) {
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Write([]byte(`"ok"`))
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	server.StartTLS()
	defer server.Close()
	c := adminAt(server.Listener.Addr().String())
	c.Admin.TLSCert = filepath.Join(t.TempDir(), "cert.pem")
	write := func(der []byte) {
		t.Helper()
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("as in files of one's own making")})
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		if err := os.WriteFile(c.Admin.TLSCert, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() error {
		cl, err := newClient(c)
		if err != nil {
			return err
		}
		var got string
		return cl.get(t.Context(), "x", nil, &got)
	}
	write(server.Certificate().Raw)
	if err := ask(); err != nil || asked != 1 {
		t.Errorf("with its certificate: %v, asked %d times", err, asked)
	}
	write(append([]byte(nil), server.Certificate().Raw[:100]...))
	if err := ask(); err == nil || asked != 1 {
		t.Errorf("with another certificate: %v, asked %d times", err, asked)
	}
	if err := os.WriteFile(c.Admin.TLSCert, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err == nil || asked != 1 {
		t.Errorf("with no certificate: %v, asked %d times", err, asked)
	}
}

func TestClientReachesWildcardsByLoopback(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:9353":   "127.0.0.1:9353",
		"[::]:9353":      "[::1]:9353",
		"192.0.2.1:9353": "192.0.2.1:9353",
	} {
		cl, err := newClient(adminAt(listen))
		if err != nil || cl.base.Host != want {
			t.Errorf("newClient(%s) asks %s, %v, want %s", listen, cl.base.Host, err, want)
		}
	}
}
