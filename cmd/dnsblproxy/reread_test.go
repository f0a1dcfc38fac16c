package main

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

const rereadConfig = `listen = ["127.0.0.1:5353"]
[admin]
listen = ""
[resolver]
servers = ["127.0.0.1:53"]
[zone."local.example"]
source = "deny"
[deny.own]
zones = ["local.example"]
cidr = ["198.51.100.0/24"]
`

// TestApply_waits reloads with other listeners, again, and with the first ones:
// what counts is what the process began with, not what was reloaded last.
func TestApply_waits(t *testing.T) {
	d, _ := adminOf(t, rereadConfig)
	var log bytes.Buffer
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	moved := strings.Replace(rereadConfig, "5353", "5354", 1)
	for _, step := range []struct {
		name, text, want string
	}{
		{"other listeners", moved, "listen"},
		{"still other listeners", moved, "listen"},
		{"the first ones", rereadConfig, ""},
		{"another admin address", strings.Replace(rereadConfig, `listen = ""`, `listen = "127.0.0.1:9354"`, 1), "admin"},
	} {
		log.Reset()
		c, err := parsed(t, step.text)
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		_, got, _ := strings.Cut(strings.TrimSpace(log.String()), "setting=")
		if got != step.want {
			t.Errorf("%s: the log says %q, want it to name %q", step.name, log.String(), step.want)
		}
	}
}

// TestApply_off switches a zone off and on by reloading: its list is tested no
// more, and then again. Observing it changes nothing about that.
func TestApply_off(t *testing.T) {
	const on = rereadConfig + `[zone."bl.example"]
upstream = "list.example"
`
	d, _ := adminOf(t, on)
	before := d.backends["bl.example"]
	for _, step := range []struct {
		mode  string
		fresh bool // the list behind the zone is a new one
	}{{"observe", false}, {"off", true}, {"enforce", true}} {
		c, err := parsed(t, on+"mode = \""+step.mode+"\"\n")
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatalf("%s: %v", step.mode, err)
		}
		b := d.backends["bl.example"]
		if fresh := b != before; fresh != step.fresh {
			t.Errorf("%s: a list of its own is %t, want %t", step.mode, fresh, step.fresh)
		}
		before = b
	}
}

// TestApply_budget changes a zone whose list has been asked: what that took of
// its budget is spent, also where nothing outlives a restart.
func TestApply_budget(t *testing.T) {
	const text = rereadConfig + `[zone."bl.example"]
upstream = "list.example"
probe = false
budget = 100
`
	d, _ := adminOf(t, text)
	name, err := wireName("example.com.list.example")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.backends["bl.example"].guarded.Start(upstream.Ask{
			Question: upstream.Question{Name: name, Type: typeA}, Shape: rbl.Domain,
		}, func(upstream.Outcome) {})
	}
	c, err := parsed(t, text+"listed = [\"127.0.0.2\"]\n")
	if err == nil {
		err = d.apply(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	if b := d.backends["bl.example"].guarded.Budget(); b.Used != 3 {
		t.Errorf("%d questions are spent after a reload, want 3", b.Used)
	}
}

// TestApply_quarantine changes something about a list that lists the world: it
// is believed no sooner for that. Another list is not to blame.
func TestApply_quarantine(t *testing.T) {
	const text = rereadConfig + `[zone."bl.example"]
upstream = "list.example"
`
	d, _ := adminOf(t, text)
	name, err := wireName("list.example")
	if err != nil {
		t.Fatal(err)
	}
	before := d.backends["bl.example"]
	before.guarded = upstream.NewList(upstream.ListOptions{Zone: name, Ask: before.asker, Holds: rbl.HoldsIP4, Quarantined: "it lists the world"})
	for _, step := range []struct {
		text string
		want bool
	}{
		{text + "listed = [\"127.0.0.2\"]\n", true},
		{strings.Replace(text, "list.example", "other.example", 1), false},
	} {
		c, err := parsed(t, step.text)
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		s := d.backends["bl.example"].guarded.State()
		if got := s.Condition == upstream.Quarantined; got != step.want {
			t.Errorf("after a reload it is %v; in quarantine %t, want %t", s.Condition, got, step.want)
		}
	}
}

// TestReread_ownListener refuses a resolver that is a listener of ours, also
// when the file, which waits for a restart, no longer says so.
func TestReread_ownListener(t *testing.T) {
	lists, err := rbl.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	before, err := parsed(t, rereadConfig)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	text := strings.NewReplacer("5353", "5354", "127.0.0.1:53\"", "127.0.0.1:5353\"").Replace(rereadConfig)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{config: path}
	_, err = a.reread(lists, before, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:5353 is our own listener") {
		t.Errorf("reread = %v, want the resolver refused", err)
	}
}
