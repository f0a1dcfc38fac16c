package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"
)

var (
	testClient = netip.MustParseAddrPort("192.0.2.1:4242")
	testServer = netip.MustParseAddrPort("127.0.0.1:53")
)

func newWriter(o Options) *Writer {
	o.Identity, o.Version, o.Log = "mx", "dnsblproxy test", slog.New(slog.DiscardHandler)
	o.Registerer = prometheus.NewRegistry()
	return New(o)
}

// run runs w until stop is called, which waits for its end.
func run(t *testing.T, w *Writer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

// frames reads a stream to its end.
func frames(t *testing.T, r io.Reader, bidirectional bool, each func(*dnstap.Message)) {
	t.Helper()
	stream, err := framestream.NewReader(r, &framestream.ReaderOptions{
		ContentTypes: [][]byte{dnstap.FSContentType}, Bidirectional: bidirectional,
	})
	if err != nil {
		t.Errorf("reading the stream: %v", err)
		return
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := stream.ReadFrame(buf)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("reading a frame: %v", err)
			return
		}
		var d dnstap.Dnstap
		if err := proto.Unmarshal(buf[:n], &d); err != nil {
			t.Errorf("a frame is no dnstap: %v", err)
			return
		}
		if string(d.GetIdentity()) != "mx" || d.GetType() != dnstap.Dnstap_MESSAGE {
			t.Errorf("frame %v: want a message of mx", &d)
		}
		each(d.GetMessage())
	}
}

func brief(m *dnstap.Message) string {
	text := string(m.GetQueryMessage()) + string(m.GetResponseMessage())
	client, _ := netip.AddrFromSlice(m.GetQueryAddress())
	return fmt.Sprintf("%v %v %v %v:%d %s", m.GetType(), m.GetSocketFamily(), m.GetSocketProtocol(), client, m.GetQueryPort(), text)
}

func TestWriter_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tap")
	before := time.Now().Unix()
	w := newWriter(Options{File: path})
	stop := run(t, w)
	w.Query([]byte("question"), testClient, testServer, false)
	w.Answer([]byte("answer"), netip.MustParseAddrPort("[2001:db8::1]:99"), testServer, true)
	stop()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	frames(t, f, false, func(m *dnstap.Message) {
		got = append(got, brief(m))
		if at := int64(m.GetQueryTimeSec() + m.GetResponseTimeSec()); at < before || at > before+60 {
			t.Errorf("%s: time %d, want about %d", brief(m), at, before)
		}
	})
	want := []string{
		"CLIENT_QUERY INET UDP 192.0.2.1:4242 question",
		"CLIENT_RESPONSE INET6 TCP 2001:db8::1:99 answer",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read back %q, want %q", got, want)
	}
	if n := testutil.ToFloat64(w.dropped); n != 0 {
		t.Errorf("%v messages dropped", n)
	}
}

// TestWriter_rotated renames the file while it is written, and starts a
// second writer on what is left: no message may be lost or overwritten.
func TestWriter_rotated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tap")
	w := newWriter(Options{File: path})
	stop := run(t, w)
	w.Query([]byte("1"), testClient, testServer, false)
	wait(t, "the first message", func() bool { i, err := os.Stat(path); return err == nil && i.Size() > 60 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	wait(t, "a new file", func() bool { _, err := os.Stat(path); return err == nil })
	w.Query([]byte("2"), testClient, testServer, false)
	stop()
	w = newWriter(Options{File: path})
	stop = run(t, w)
	w.Query([]byte("3"), testClient, testServer, false)
	wait(t, "the third message", func() bool { i, err := os.Stat(path); return err == nil && i.Size() > 60 && len(w.queue) == 0 })
	stop()
	files, err := filepath.Glob(filepath.Join(dir, "tap*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %q, want three", files)
	}
	seen := map[string]bool{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		frames(t, f, false, func(m *dnstap.Message) { seen[string(m.GetQueryMessage())] = true })
		f.Close()
	}
	if !seen["1"] || !seen["2"] || !seen["3"] {
		t.Errorf("messages left: %v, want 1, 2 and 3", seen)
	}
}

// wait polls for what another goroutine does to the file system.
func wait(t *testing.T, what string, there func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !there() {
		select {
		case <-deadline:
			t.Fatalf("no sign of %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestWriter_socket has a reader that comes late, hangs up, and comes again.
func TestWriter_socket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	w := newWriter(Options{Socket: path})
	w.Query([]byte("before anybody listens"), testClient, testServer, false)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	stop := run(t, w)

	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := framestream.NewReader(conn, &framestream.ReaderOptions{
		ContentTypes: [][]byte{dnstap.FSContentType}, Bidirectional: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.ReadFrame(make([]byte, 1<<16)); err != nil {
		t.Fatalf("the message from before: %v", err)
	}
	conn.Close()

	again := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
		}
		again <- conn
	}()
	// The first write after the reader has gone tells that it has.
	for conn = nil; conn == nil; {
		w.Answer([]byte("x"), testClient, testServer, false)
		select {
		case conn = <-again:
		case <-time.After(5 * time.Millisecond):
		}
	}
	read := make(chan int)
	go func() {
		n := 0
		frames(t, conn, true, func(*dnstap.Message) { n++ })
		conn.Close()
		read <- n
	}()
	w.Answer([]byte("last"), testClient, testServer, false)
	wait(t, "an empty queue", func() bool { return len(w.queue) == 0 })
	stop()
	if n := <-read; n == 0 {
		t.Error("the second reader got nothing")
	}
	if testutil.ToFloat64(w.dropped) == 0 {
		t.Error("what was on its way to the reader that hung up is not counted as dropped")
	}
}

// TestWriter_full fills the queue of a log that nobody writes: nobody waits.
func TestWriter_full(t *testing.T) {
	w := newWriter(Options{Socket: filepath.Join(t.TempDir(), "nobody")})
	for range queueSize + 5 {
		w.Query([]byte("q"), testClient, testServer, false)
	}
	if n := testutil.ToFloat64(w.dropped); n != 5 {
		t.Errorf("%v dropped, want 5", n)
	}
}

// TestWriter_silentReader has a reader that accepts and says nothing: the end
// of the server does not wait for it.
func TestWriter_silentReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	stop := run(t, newWriter(Options{Socket: path}))
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	started := time.Now()
	stop()
	if took := time.Since(started); took > writeTime/2 {
		t.Errorf("ending took %v", took)
	}
}

// TestWriter_pipe names a pipe as the file, without a reader and with one that
// has stopped: the end of the server does not wait for either.
func TestWriter_pipe(t *testing.T) {
	for _, readers := range []int{0, 1} {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if readers > 0 {
			f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
		}
		w := newWriter(Options{File: path})
		for range queueSize {
			w.Query(make([]byte, 512), testClient, testServer, false)
		}
		ended := make(chan bool)
		stop := run(t, w)
		go func() {
			stop()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(4 * writeTime):
			t.Fatalf("with %d readers it does not end", readers)
		}
	}
}

// TestWriter_told takes the folder of the file away and brings it back: the
// log tells of each change, and not of each attempt.
func TestWriter_told(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "gone")
		path := filepath.Join(folder, "tap")
		told := make(lines, 100)
		w := New(Options{File: path, Registerer: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(told, nil))})
		stop := run(t, w)
		then := func(what string, want string, err error) {
			t.Helper()
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			var got []string
			for len(told) > 0 {
				got = append(got, regexp.MustCompile(`query log [a-z ]*`).FindString(<-told))
			}
			if err != nil || strings.Join(got, ", ") != want {
				t.Errorf("%s: told %q, want %q; %v", what, got, want, err)
			}
		}
		then("no folder", "query log not written", nil)
		then("for long", "", nil)
		then("a file in its place", "query log not written", os.WriteFile(folder, nil, 0o600))
		then("a folder", "query log opened", errors.Join(os.Remove(folder), os.Mkdir(folder, 0o700)))
		then("no folder again", "query log not written", os.RemoveAll(folder))
		stop()
	})
}

// TestWriter_comesAndGoes has a reader that hangs up as soon as it was greeted:
// it is called less and less often.
func TestWriter_comesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var calls, closed atomic.Int32
	ended := make(chan bool)
	go func() { // not in the bubble, whose time goes on meanwhile
		defer close(ended)
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			calls.Add(1)
			_, err := framestream.NewReader(conn, &framestream.ReaderOptions{
				ContentTypes: [][]byte{dnstap.FSContentType}, Bidirectional: true,
			})
			if err != nil {
				t.Log(err)
			}
			conn.Close()
			closed.Add(1)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(Options{Socket: path})
		stop := run(t, w)
		for range 600 {
			w.Query([]byte("q"), testClient, testServer, false)
			time.Sleep(time.Second)
			for closed.Load() < calls.Load() {
				runtime.Gosched()
			}
		}
		stop()
	})
	listener.Close()
	<-ended
	if n := calls.Load(); n < 10 || n > 30 {
		t.Errorf("in ten minutes it was called %d times", n)
	}
}

// lines holds what was logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestEnvelope_responder: a wildcard is no address of the server that answered.
func TestEnvelope_responder(t *testing.T) {
	for _, tt := range []struct{ client, server, want string }{
		{"192.0.2.1:4242", "127.0.0.1:53", "127.0.0.1"},
		{"[2001:db8::1]:4242", "[::1]:53", "::1"},
		{"192.0.2.1:4242", "0.0.0.0:53", "invalid IP"},
		{"192.0.2.1:4242", "[::]:53", "invalid IP"},
		{"[2001:db8::1]:4242", "[::]:53", "invalid IP"},
	} {
		m := message{client: netip.MustParseAddrPort(tt.client), server: netip.MustParseAddrPort(tt.server)}
		got := envelope(&m, &Options{}).GetMessage()
		responder, _ := netip.AddrFromSlice(got.GetResponseAddress())
		if responder.String() != tt.want || got.GetResponsePort() != 53 {
			t.Errorf("%s asks %s: answered from %v, port %d, want %s", tt.client, tt.server, responder, got.GetResponsePort(), tt.want)
		}
	}
}
