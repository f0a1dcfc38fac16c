package shared

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// redisServer is a real server behind a unix socket of its own.
type redisServer struct {
	t      testing.TB
	socket string
	args   []string
	cmd    *exec.Cmd
}

// startRedis starts a server that ends with the test.
func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	return startRedisFrom(t, "", append([]string{"--save", "", "--appendonly", "no"}, args...)...)
}

// startRedisFrom starts one with a file of settings, unless conf is empty.
func startRedisFrom(t testing.TB, conf string, args ...string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed")
		}
		t.Skip("redis-server is not installed")
	}
	// The path of a socket has 107 octets at most.
	dir, err := os.MkdirTemp("", "shared-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &redisServer{t: t, socket: filepath.Join(dir, "s")}
	if conf != "" {
		s.args = append(s.args, conf)
	}
	s.args = append(append(s.args, "--unixsocket", s.socket, "--port", "0", "--dir", dir), args...)
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start starts the server again, after kill.
func (s *redisServer) start() {
	s.t.Helper()
	// The kernel kills the child when the thread that started it ends: with
	// the test, however that ends.
	runtime.LockOSThread()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	// Its own answer, so that a password or an empty memory is no hindrance.
	eventually(s.t, "redis-server to answer", func() bool {
		out, _ := exec.Command("redis-cli", "-s", s.socket, "PING").CombinedOutput()
		return bytes.Contains(out, []byte("PONG")) || bytes.Contains(out, []byte("NOAUTH"))
	})
}

func (s *redisServer) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait() // its error is the signal
}

func (s *redisServer) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// do sends a command past the package, as somebody else who can write.
func (s *redisServer) do(args ...string) string {
	s.t.Helper()
	c := exec.Command("redis-cli", append([]string{"-s", s.socket, "-x"}, args[:len(args)-1]...)...)
	c.Stdin = strings.NewReader(args[len(args)-1])
	out, err := c.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("ERR")) {
		s.t.Fatalf("redis-cli %q: %v %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *redisServer) url() string { return "unix://" + s.socket }

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("gave up waiting for %s", what)
		case <-tick.C:
		}
	}
}

// client is a Cache with what it counted and logged.
type client struct {
	*Cache
	t   testing.TB
	mu  sync.Mutex
	got map[string]int
	log lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// hurried is for tests of what waits no longer than testTimeout. The others wait
// as long as a machine may stand still.
func hurried(o *Options) { o.Timeout = testTimeout }

const testTimeout = 250 * time.Millisecond

func openClient(t testing.TB, url string, change ...func(*Options)) *client {
	t.Helper()
	c := &client{t: t, got: map[string]int{}}
	o := Options{URL: url, Secret: "a secret", Timeout: 20 * time.Second,
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(&c.log, t.Output()), nil)),
		Count: func(result string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.got[result]++
		}}
	for _, f := range change {
		f(&o)
	}
	var err error
	if c.Cache, err = Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// ready is openClient that waits for the connection.
func ready(t testing.TB, url string, change ...func(*Options)) *client {
	t.Helper()
	c := openClient(t, url, change...)
	eventually(t, "the connection", c.up.Load)
	return c
}

func (c *client) count(result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[result]
}

// get asks and says what came of it: "DATA LIFE", "nothing", or "not asked".
func (c *client) get(question string) string {
	c.t.Helper()
	type reply struct {
		data string
		life uint32
		ok   bool
	}
	ch := make(chan reply, 2)
	if !c.Get([]byte(question), func(data string, life uint32, ok bool) { ch <- reply{data, life, ok} }) {
		return "not asked"
	}
	select {
	case r := <-ch:
		if !r.ok {
			return "nothing"
		}
		return fmt.Sprint(r.data, " ", r.life)
	case <-time.After(time.Minute):
		c.t.Fatal("Get never calls done")
		return ""
	}
}

// gives has the other get an answer. It is set again should it be lost.
func (c *client) gives(to *client, question, data string, life uint32) {
	c.t.Helper()
	eventually(c.t, "the answer "+data, func() bool {
		c.Set([]byte(question), data, life)
		return to.has(question, data)
	})
}

func (c *client) has(question, data string) bool {
	c.t.Helper()
	return strings.HasPrefix(c.get(question), data+" ")
}
