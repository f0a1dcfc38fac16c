package peers

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/bench/internal/load"
)

// missing skips the test, but not in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// agrees asks s, which it stops in the end, about n addresses.
func agrees(t *testing.T, s *Server, n uint32) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	for i := range n {
		a := load.Addr(i)
		m, err := exchange(new(dns.Msg).SetQuestion(load.Question(a, "bl.bench.internal."), dns.TypeA), s.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := len(m.Answer) > 0; got != load.Listed(a) {
			t.Errorf("%v: listed %v, want %v", load.IP(a), got, load.Listed(a))
		}
	}
}

// TestListData has the files that rbldnsd reads agree with load.Listed.
func TestListData(t *testing.T) {
	s, err := StartList("bl.bench.internal")
	if err != nil {
		missing(t, err.Error())
	}
	agrees(t, s, 300)
	if _, err := net.Dial("tcp4", s.Addr.String()); err == nil {
		t.Error("rbldnsd answers over TCP")
	}
}

// TestKinds starts every peer that is installed and asks it.
func TestKinds(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	list, err := NewScripted(load.Listed)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			if k.Find() == "" {
				missing(t, k.Name+" is not installed; make packages installs it")
			}
			s, err := k.Start(Settings{Zone: "bl.bench.internal", List: list.Addr, CacheMB: 64, CacheEntries: 10_000})
			if err != nil {
				t.Fatal(err)
			}
			if k.Version() == "" {
				t.Error("no version")
			}
			agrees(t, s, 20)
		})
	}
}

// TestServer_Stop tells of a server that had ended by itself.
func TestServer_Stop(t *testing.T) {
	s := &Server{Name: "x", Dir: t.TempDir(), cmd: exec.Command("false"), exited: make(chan struct{})}
	if err := s.cmd.Run(); err == nil {
		t.Fatal("false succeeded")
	}
	close(s.exited)
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "x had ended") {
		t.Errorf("Stop = %v", err)
	}
}
