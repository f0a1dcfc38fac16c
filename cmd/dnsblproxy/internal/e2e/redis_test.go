package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a real server for the cache that proxies share.
type Redis struct {
	*Process
	Addr netip.AddrPort
	args []string
}

func startRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	r := &Redis{Addr: netip.AddrPortFrom(freeIP(t), 6379), args: args}
	r.start(t)
	return r
}

func (r *Redis) start(t testing.TB) {
	t.Helper()
	argv := append([]string{needProgram(t, "redis-server"), "--bind", r.Addr.Addr().String(), "--port", "6379",
		"--save", "", "--appendonly", "no", "--dir", folder(t), "--protected-mode", "no"}, r.args...)
	r.Process = startProcess(t, nil, argv...)
	r.ready(t, func() error {
		got, err := r.try("PING")
		if err == nil && got != "+PONG" && !strings.HasPrefix(got, "-NOAUTH") {
			err = fmt.Errorf("it says %q", got)
		}
		return err
	})
}

// kill ends the server at once, and what it held is gone.
func (r *Redis) kill(t testing.TB) {
	t.Helper()
	r.Signal(t, syscall.SIGKILL)
	r.Wait(t, stopTimeout)
}

// do sends one command past the proxies, as anybody could who reaches the
// server, and returns the reply: its line, or the text it announces.
func (r *Redis) do(t testing.TB, words ...string) string {
	t.Helper()
	got, err := r.try(words...)
	if err == nil && strings.HasPrefix(got, "-") {
		err = fmt.Errorf("it says %q", got)
	}
	if err != nil {
		t.Fatalf("redis, %.60q: %v", words, err)
	}
	return got
}

func (r *Redis) try(words ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", r.Addr.String(), clientTimeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return "", err
	}
	fmt.Fprintf(conn, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(w), w)
	}
	return reading(bufio.NewReader(conn))
}

// reading is one reply; those of several parts are put on lines.
func reading(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if err != nil || line == "" {
		return line, err
	}
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		text := make([]byte, max(n, 0)+len("\r\n"))
		if n < 0 {
			return "", nil
		}
		_, err = io.ReadFull(in, text)
		return string(text[:n]), err
	case '*':
		var parts []string
		for range n {
			part, err := reading(in)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, "\n"), nil
	}
	return line, nil
}

// keys are the names of what the server holds for proxies.
func (r *Redis) keys(t testing.TB) []string {
	t.Helper()
	return strings.Fields(r.do(t, "KEYS", "dnsblproxy:*"))
}

// table is the configuration of a proxy that uses the server.
func (r *Redis) table(lines string) string {
	return fmt.Sprintf("[cache.shared]\nurl = \"redis://%s/0\"\nsecret = \"${CACHE_SECRET}\"\n%s\n", r.Addr, lines)
}

// sharedSecret is the environment of proxies that share a cache.
const sharedSecret = "CACHE_SECRET=correct horse battery staple"
