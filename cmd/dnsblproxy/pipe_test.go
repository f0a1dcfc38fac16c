package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/resolver/rbl"
)

// TestReread_pipe reloads while pipes that nobody writes to stand where files
// stood: the server does not wait for them.
func TestReread_pipe(t *testing.T) {
	lists := rbl.Builtin()
	for _, tt := range []struct{ name, want string }{
		{"config.toml", "config.toml: reading the configuration: is no regular file"},
		{"environment", "the environment variable OWN_KEY, which is not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "config.toml", rereadConfig+"url = \"https://127.0.0.1:1/${OWN_KEY}\"\n")
			writeFile(t, "environment", "OWN_KEY=abcd\n")
			before, err := (&app{lists: lists}).load()
			if err != nil {
				t.Fatal(err)
			}
			pipeInstead(t, tt.name)
			if _, err := reread(lists, before, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("reread = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestAdmin_pipe asks the admin address while a pipe stands where its key
// stood.
func TestAdmin_pipe(t *testing.T) {
	cert, key := pemPair(t)
	addr := freeAddr(t)
	d := wired(t, strings.Replace(rereadConfig, `listen = ""`,
		fmt.Sprintf("listen = %q\ntls_cert = %q\ntls_key = %q", addr, cert, key), 1))
	o := d.adminOptions()
	s, err := admin.Open(*o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	pipeInstead(t, key)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("asking while the key is a pipe: %v", err)
	}
	conn.Close()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// pipeInstead puts a pipe where a file is.
func pipeInstead(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pemPair is a certificate with its key, in files.
func pemPair(t *testing.T) (cert, key string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return cert, key
}

// freeAddr is an address on loopback that nobody uses at the moment. Its port is
// none of those that the kernel gives to others meanwhile.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, l, c := bothAt(t)
	l.Close()
	c.Close()
	return addr
}

// bothAt listens at such an address, over TCP and UDP.
func bothAt(t *testing.T) (addr string, l net.Listener, c net.PacketConn) {
	t.Helper()
	for {
		addr = fmt.Sprintf("127.0.0.1:%d", 10000+rand.N(20000))
		var err error
		if l, err = net.Listen("tcp4", addr); err != nil {
			continue
		}
		if c, err = net.ListenPacket("udp4", addr); err == nil {
			return addr, l, c
		}
		l.Close()
	}
}
