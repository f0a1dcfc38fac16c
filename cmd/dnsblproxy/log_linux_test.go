package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLog_reader_gone starts the journal anew. systemd takes the end by
// SIGPIPE for a clean one, and starts nothing again.
func TestLog_reader_gone(t *testing.T) {
	s := startLogged(t)
	s.log.Close()
	s.listed(t, 3)
	s.end(t)
}

// TestLog_stuck has a journal that reads no more, as one whose disk hangs. A
// page of log is full after some thirty listings.
func TestLog_stuck(t *testing.T) {
	s := startLogged(t)
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, s.log.Fd(), syscall.F_SETPIPE_SZ, 4096); errno != 0 {
		t.Fatal(errno)
	}
	s.listed(t, 80)
	s.end(t)
}

// logged is a server whose log the test reads, or does not.
type logged struct {
	addr  string
	serve *exec.Cmd
	log   *os.File
}

func startLogged(t *testing.T) *logged {
	t.Helper()
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	s := &logged{addr: freeAddr(t)}
	config := filepath.Join(dir, "config.toml")
	writeFile(t, config, "listen = [\""+s.addr+"\"]\n[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n"+
		"[zone.\"local.example\"]\nsource = \"deny\"\n[deny.own]\nzones = [\"local.example\"]\ncidr = [\"192.0.2.0/24\"]\n")
	log, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	s.log = log
	s.serve = exec.CommandContext(t.Context(), self(t), "serve", "--config", config)
	s.serve.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	s.serve.Stderr = stderr
	err = s.serve.Start()
	stderr.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := waitNotice(manager, "READY=1"); err != nil {
		t.Fatal(err)
	}
	return s
}

// listed asks about n addresses, each of which is a line in the log.
func (s *logged) listed(t *testing.T, n int) {
	t.Helper()
	c := &dns.Client{Timeout: time.Minute}
	for i := range n {
		answer, _, err := c.Exchange(new(dns.Msg).SetQuestion(fmt.Sprintf("%d.2.0.192.local.example.", i), dns.TypeA), s.addr)
		if err != nil || len(answer.Answer) != 1 {
			t.Fatalf("question %d: %v, %v", i, answer, err)
		}
	}
}

func (s *logged) end(t *testing.T) {
	t.Helper()
	if err := s.serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.serve.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
}
