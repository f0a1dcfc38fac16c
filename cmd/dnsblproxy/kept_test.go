package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/report"
	"dnsblproxy/cmd/dnsblproxy/internal/state"
	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// TestQuarantine_restart: a list that lists the world, of IPv6, is not believed
// because the proxy was restarted. Another list is, and one that was mended.
func TestQuarantine_restart(t *testing.T) {
	var mended atomic.Bool
	via := fakeList(t, func(question []byte) []byte {
		m := new(dns.Msg)
		test := bytes.HasPrefix(question[12:], []byte("\x012\x010\x010\x03127")) || bytes.HasPrefix(question[12:], []byte("\x012\x010\x010\x010\x010\x010\x01f\x017"))
		if m.Unpack(question) != nil || !test && (mended.Load() || dns.CountLabel(m.Question[0].Name) < 32) {
			return unlisted(question)
		}
		r := new(dns.Msg).SetReply(m)
		listed, err := dns.NewRR(m.Question[0].Name + " 60 A 127.0.0.2")
		if err != nil {
			panic(err)
		}
		r.Answer = append(r.Answer, listed)
		answer, err := r.Pack()
		if err != nil {
			panic(err)
		}
		return answer
	})
	text := "state = \"" + t.TempDir() + "\"\n" + rereadConfig + `[zone."bl.example"]
holds = ["ip4", "ip6"]
via = ["` + via + `"]
upstream = "`
	// run starts a proxy, waits for the list's state to become so, and ends it.
	run := func(list, until string) (began upstream.State) {
		t.Helper()
		c, err := parsed(t, text+list+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		log := make(logLines, 100)
		d, err := newProxy(c, rbl.Builtin(), slog.New(slog.NewTextHandler(log, nil)), stateRoot(c))
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		began = d.backends["bl.example"].guarded.State()
		for until != "" && !strings.Contains(<-log, " to="+until+" ") {
		}
		return began
	}
	run("list.example", "quarantined")
	if s := run("list.example", ""); s.Condition != upstream.Quarantined || s.Liar != rbl.IP6 {
		t.Fatalf("after a restart the list that lies is %+v", s)
	}
	mended.Store(true)
	if s := run("other.example", ""); s.Condition != upstream.Healthy {
		t.Errorf("another list begins as %+v", s)
	}
	run("list.example", "healthy")
	if s := run("list.example", ""); s.Condition != upstream.Healthy {
		t.Errorf("the list that was mended begins as %+v", s)
	}
}

// logLines are the lines of a log.
type logLines chan string

// Write implements io.Writer.
func (l logLines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestKeep_told: a full disk is told of once for each file, and that it has room.
func TestKeep_told(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	writeFile(t, folder, "") // no folder
	log := make(logLines, 10)
	d := &proxy{log: slog.New(slog.NewTextHandler(log, nil)), kept: state.Dir(folder)}
	spend := d.saveSpent(&config.Zone{Name: "bl.example"})
	for range 3 {
		if spend(upstream.Spent{}) == nil || d.keep("report", report.History{}) == nil {
			t.Fatal("what could not be kept was")
		}
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := spend(upstream.Spent{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`not kept for a restart" what="budget bl.example `, `not kept for a restart" what=report`, `again" what="budget bl.example `} {
		if line := <-log; !strings.Contains(line, want) {
			t.Errorf("the log says %s, want %s", line, want)
		}
	}
	if len(log) > 0 {
		t.Errorf("the log goes on: %s", <-log)
	}
}

// TestApply_budget changes a zone whose list has been asked, and starts anew: what
// that took of its budget is spent, and another list has its own.
func TestApply_budget(t *testing.T) {
	const same, other = `upstream = "list.example"`, `upstream = "other.example"`
	text := "state = \"" + t.TempDir() + "\"\n" + rereadConfig + `[zone."bl.example"]
probe = false
budget = 100
`
	name, err := rbl.AppendName(nil, "example.com.list.example")
	if err != nil {
		t.Fatal(err)
	}
	spent := func(d *proxy) uint64 { return d.backends["bl.example"].guarded.Budget().Used }
	change := func(d *proxy, to string) uint64 {
		c, err := parsed(t, text+to)
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return spent(d)
	}
	var before uint64
	t.Run("reload", func(t *testing.T) {
		d := wired(t, text+same)
		for range 3 {
			d.backends["bl.example"].guarded.Start(upstream.Ask{
				Question: upstream.Question{Name: name, Type: uint16(spf.TypeA)}, Shape: rbl.Domain,
			}, func(upstream.Outcome) {})
		}
		// Perhaps not all three: nobody answers, and the breaker may have opened.
		before = spent(d)
		if n := change(d, same+"\nlisted = [\"127.0.0.2\"]"); before == 0 || n != before {
			t.Errorf("%d questions are spent after a reload, %d before", n, before)
		}
	})
	t.Run("restart", func(t *testing.T) {
		d := wired(t, text+same)
		if n := spent(d); n != before {
			t.Errorf("%d questions are spent after a restart, %d before", n, before)
		}
		if n := change(d, other); n != 0 {
			t.Errorf("another list begins with %d questions spent", n)
		}
	})
	t.Run("restart with another", func(t *testing.T) {
		if n := spent(wired(t, text+other)); n != 0 {
			t.Errorf("another list begins with %d questions spent", n)
		}
	})
}
