package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
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

// TestApply_warns has a reload say what is written in vain, as the start does.
func TestApply_warns(t *testing.T) {
	d, _ := adminOf(t, rereadConfig)
	var log bytes.Buffer
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	c, err := parsed(t, rereadConfig+"except = [\"192.0.2.1\"]\n[zone.\"rdns.example\"]\nsource = \"rdns\"\nno_override = [\"127.0.0.1\"]\n")
	if err == nil {
		err = d.apply(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"config.toml:11: deny.own.except: 192.0.2.1 is in no range", "config.toml:14: zone \\\"rdns.example\\\": 127.0.0.1 in no_override does nothing"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log says %q, want %q", log.String(), want)
		}
	}
}

// TestApply_answersKept changes what a zone's answers do not depend on, while its
// list is out of reach: what the list has said serves on.
func TestApply_answersKept(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	list := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = append(m.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300},
			A:   net.IPv4(127, 0, 0, 2),
		})
		_ = w.WriteMsg(m)
	})}
	go func() { _ = list.ActivateAndServe() }()
	text := strings.Replace(rereadConfig, "[zone", "timeout = \"10s\"\ndeadline = \"40s\"\n[zone", 1) +
		fmt.Sprintf("[zone.\"bl.example\"]\nvia = [%q]\nprobe = false\n", conn.LocalAddr())
	d, _ := adminOf(t, text)
	verdict := func() string {
		answers := d.lookup(t.Context(), rbl.AddrSubject(netip.MustParseAddr("192.0.2.9")))
		return answers[slices.IndexFunc(answers, func(a admin.Answer) bool { return a.Zone == "bl.example" })].Verdict
	}
	if got := verdict(); got != "listed" {
		t.Fatal(got)
	}
	if err := list.Shutdown(); err != nil {
		t.Fatal(err)
	}
	for was, is := range map[string]string{
		`timeout = "10s"`: `timeout = "500ms"`, "probe = false": "probe = true", "probe = false\n": "probe = false\nbudget = 1000\n",
	} {
		c, err := parsed(t, strings.Replace(text, was, is, 1))
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := verdict(); got != "listed" {
			t.Errorf("after a reload with %s: %s", is, got)
		}
	}
}

// TestApply_quarantine changes something about a list that lists the world, or
// switches it off and on: it is believed no sooner for that. Another list is
// not to blame.
func TestApply_quarantine(t *testing.T) {
	const text = rereadConfig + `[zone."bl.example"]
upstream = "list.example"
`
	d, _ := adminOf(t, text)
	lie := func() {
		name, err := rbl.AppendName(nil, "list.example")
		if err != nil {
			t.Fatal(err)
		}
		c := d.cfg.Load()
		d.backends["bl.example"].guarded = upstream.NewList(upstream.ListOptions{
			Zone: name, Ask: d.asker(c, c.Zone("bl.example"), d.finder(c)), Holds: rbl.HoldsIP4, Quarantined: "it lists the world"})
	}
	lie()
	for _, step := range []struct {
		name, text string
		want       bool
	}{
		{"other codes", text + "listed = [\"127.0.0.2\"]\n", true},
		{"off", text + "mode = \"off\"\n", true},
		{"on", text, true},
		{"not tested any more", text + "probe = false\n", false},
		{"tested again", text, false},
		{"another list", strings.Replace(text, "list.example", "other.example", 1), false},
	} {
		if step.name == "another list" {
			lie()
		}
		c, err := parsed(t, step.text)
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		s := d.backends["bl.example"].guarded.State()
		if got := s.Condition == upstream.Quarantined; got != step.want {
			t.Errorf("%s: after a reload it is %v; in quarantine %t, want %t", step.name, s.Condition, got, step.want)
		}
	}
}

// TestReread_ownListener refuses a resolver that is a listener of ours, also
// when the file, which waits for a restart, no longer says so.
func TestReread_ownListener(t *testing.T) {
	before, err := parsed(t, rereadConfig)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("5353", "5354", "127.0.0.1:53\"", "127.0.0.1:5353\"").Replace(rereadConfig)
	writeFile(t, before.Path, text)
	_, err = reread(rbl.Builtin(), before, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:5353 is our own listener") {
		t.Errorf("reread = %v, want the resolver refused", err)
	}
}

// TestReread_gone reloads while files are gone that are in force, such as one
// that is just being fetched anew.
func TestReread_gone(t *testing.T) {
	lists := rbl.Builtin()
	folder := t.TempDir()
	t.Chdir(folder)
	files := map[string]string{
		"config.toml": rereadConfig + "file = \"rule\"\n[zone.\"data.example\"]\nsource = \"file\"\nfiles = [\"ip4set:data\"]\n",
		"rule":        "192.0.2.1\n", "data": "192.0.2.1\n",
	}
	for name, text := range files {
		writeFile(t, name, text)
	}
	before, err := (&app{lists: lists}).load()
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"rule", "data"} {
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		if _, err := reread(lists, before, nil); err != nil {
			t.Errorf("without the file %s: %v", gone, err)
		}
	}
	writeFile(t, "config.toml", strings.Replace(files["config.toml"], "ip4set:data", "ip4set:other", 1))
	if _, err := reread(lists, before, nil); err == nil {
		t.Error("a file that was never there is no problem")
	}
	if err := os.Remove("config.toml"); err != nil {
		t.Fatal(err)
	}
	if _, err := reread(lists, before, nil); err == nil || !strings.HasPrefix(err.Error(), "config.toml: reading the configuration: ") {
		t.Errorf("without the configuration: %v, want it missed and no other looked for", err)
	}
}

// writerFunc is a log that somebody reads.
type writerFunc func(line string)

func (w writerFunc) Write(line []byte) (int, error) {
	w(string(line))
	return len(line), nil
}

// TestApply_seen has the metrics and the page ask in the middle of a reload,
// which may have large files to read.
func TestApply_seen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	writeFile(t, file, "192.0.2.1\n")
	d, _ := adminOf(t, rereadConfig)
	read := false
	d.log = slog.New(slog.NewTextHandler(writerFunc(func(line string) {
		if !strings.Contains(line, "zone files loaded") {
			return
		}
		if read = d.mu.TryLock(); read {
			d.mu.Unlock()
		}
	}), nil))
	c, err := parsed(t, dataConfig(file))
	if err == nil {
		err = d.apply(c)
	}
	if err != nil || !read {
		t.Errorf("reload: %v; while it reads data the state of the zones can be read: %t", err, read)
	}
}

// TestApply_nothing refuses a reload for its data, and what a rule that it was to
// take away has loaded goes on exempting, although its server is gone.
func TestApply_nothing(t *testing.T) {
	feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "198.51.100.7\n")
	}))
	d, _ := adminOf(t, rereadConfig+"[allow.feed]\nurl = \""+feed.URL+"\"\n")
	d.waitForSources(t.Context(), firstLoad)
	feed.Close()
	verdict := func() string {
		return d.lookup(t.Context(), rbl.AddrSubject(netip.MustParseAddr("198.51.100.7")))[0].Verdict
	}
	if got := verdict(); got != "exempt" {
		t.Fatalf("an address of the feed is %s", got)
	}
	data := filepath.Join(t.TempDir(), "data")
	writeFile(t, data, "junk\n")
	c, err := parsed(t, rereadConfig+"[zone.\"data.example\"]\nsource = \"file\"\nfiles = [\"ip4set:"+data+"\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.apply(c); err == nil {
		t.Fatal("a zone without data is served")
	}
	if got := verdict(); got != "exempt" {
		t.Errorf("after a reload that was refused it is %s, want exempt", got)
	}
}

// TestApply_moved reloads after a line was written above a zone: its data is
// still there, although its file is just being fetched anew.
func TestApply_moved(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	writeFile(t, data, "192.0.2.1\n")
	text := rereadConfig + "[zone.\"data.example\"]\nsource = \"file\"\nfiles = [\"ip4set:" + data + "\"]\n"
	d, _ := adminOf(t, text)
	before := d.backends["data.example"]
	c, err := parsed(t, "# a remark\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
	if err := d.apply(c); err != nil || d.backends["data.example"] != before {
		t.Errorf("apply = %v, want the data that is there to be kept", err)
	}
}

// TestShownFile names a rule's file as the configuration does: answers are read
// by others, whom the folders of this machine do not concern.
func TestShownFile(t *testing.T) {
	lists := rbl.Builtin()
	t.Chdir(t.TempDir())
	writeFile(t, "fax.txt", "192.0.2.1\n")
	writeFile(t, "config.toml", rereadConfig+"[allow.fax]\nfile = \"./fax.txt\"\n")
	c, err := (&app{lists: lists}).load()
	if err != nil {
		t.Fatal(err)
	}
	d, err := newProxy(c, lists, slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.waitForSources(t.Context(), firstLoad)
	a := d.lookup(t.Context(), rbl.AddrSubject(netip.MustParseAddr("192.0.2.1")))[0]
	if a.Source != "file fax.txt" || strings.Contains(a.Reason, "/") {
		t.Errorf("source %q, reason %q, want the file as it is written", a.Source, a.Reason)
	}
}

// TestApply_mode switches a list on and off again: one that is off is asked
// nothing, and one that was off is tested from then on like any other.
func TestApply_mode(t *testing.T) {
	tested := make(chan bool, 1)
	via := fakeList(t, func(question []byte) (answer []byte) {
		if !strings.HasPrefix(string(question[13:]), "loop-") { // the search for circles asks too
			select {
			case tested <- true:
			default:
			}
		}
		return unlisted(question)
	})
	text := "[admin]\nlisten = \"\"\n[zone.\"bl.example\"]\nvia = [\"" + via + "\"]\nmode = "
	d, _ := adminOf(t, text+`"off"`)
	apply := func(mode string) *backend {
		t.Helper()
		c, err := parsed(t, text+mode)
		if err == nil {
			err = d.apply(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.backends["bl.example"]
	}
	on := apply(`"enforce"`)
	select {
	case <-tested:
	case <-time.After(time.Minute):
		t.Fatal("a list that was off is never tested")
	}
	if apply(`"observe"`) != on {
		t.Error("what is known of a list is lost although it goes on being asked")
	}
	if apply(`"off"`) == on {
		t.Error("a list that is off goes on being tested")
	}
}

// fakeList answers DNS questions at the address that it returns.
func fakeList(t *testing.T, answer func(question []byte) []byte) (addr string) {
	t.Helper()
	list, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Close() })
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := list.ReadFromUDP(buf)
			if err != nil {
				return
			}
			_, _ = list.WriteToUDP(answer(buf[:n]), from) // it is asked again
		}
	}()
	return list.LocalAddr().String()
}

func unlisted(question []byte) []byte {
	question[2], question[3] = question[2]|0x80, 0x83 // NXDOMAIN
	return question
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}
