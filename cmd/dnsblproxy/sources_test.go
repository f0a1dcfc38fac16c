package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// A feed's host is asked of the [resolver]: resolv.conf may name ourselves, who
// answer nobody before the feeds are loaded.
func TestFeed_host(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	names := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA && q.Question[0].Name == "feeds.example." {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: "feeds.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = names.ActivateAndServe() }()
	defer func() { _ = names.Shutdown() }()
	feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "192.0.2.1") }))
	defer feed.Close()

	t.Chdir(t.TempDir())
	_, port, _ := net.SplitHostPort(feed.Listener.Addr().String())
	writeFile(t, "config.toml", fmt.Sprintf("[zone.'local.rbl.internal']\nsource = 'deny'\n[resolver]\nservers = [%q]\n"+
		"[allow.x]\nurl = 'http://feeds.example:%s/'\ninsecure = true\n", conn.LocalAddr(), port))
	a := &app{lists: rbl.Builtin()}
	c, err := a.load()
	if err != nil {
		t.Fatal(err)
	}
	d, err := a.withSources(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if s := d.rules.Status()[0]; s.V4 != 1 {
		t.Errorf("the feed opens %.0f addresses, want one: %s", s.V4, trouble(s))
	}
}

// TestApply_resolver: the sources of a rule that comes with another resolver ask
// that one.
func TestApply_resolver(t *testing.T) {
	asked := make(chan string, 100)
	server := func(name string) string {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			asked <- name
			_ = w.WriteMsg(new(dns.Msg).SetReply(q))
		})}
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
		return conn.LocalAddr().String()
	}
	with := func(servers string) string { return strings.Replace(rereadConfig, "127.0.0.1:53\"", servers+"\"", 1) }
	d, _ := adminOf(t, with(server("before")))
	c, err := parsed(t, with(server("after"))+"[allow.fax]\nspf = [\"efax.com\"]\n")
	if err == nil {
		err = d.apply(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != "after" {
		t.Errorf("the resolver of %s the reload is asked", got)
	}
}

// What took too long to load is no less missing than what failed.
func TestTrouble(t *testing.T) {
	for _, tt := range []struct {
		status overrides.SourceStatus
		want   string
	}{
		{overrides.SourceStatus{Enabled: true, Tried: true}, ""},
		{overrides.SourceStatus{Enabled: true, Tried: true, LastError: "temperror"}, "temperror"},
		{overrides.SourceStatus{Enabled: true}, "it was not loaded within 10s"},
		{overrides.SourceStatus{}, ""},
	} {
		if got := trouble(tt.status); got != tt.want {
			t.Errorf("trouble(%+v) = %q, want %q", tt.status, got, tt.want)
		}
	}
}

// TestUnwatched_cache: a command beside a server with a large cache does not
// take the memory of another one.
func TestUnwatched_cache(t *testing.T) {
	for size, want := range map[int64]int64{8 << 30: 64 << 20, 64 << 20: 64 << 20, 1 << 20: 1 << 20} {
		if got := unwatched(&config.Config{Cache: config.Cache{Size: size}}).Cache.Size; got != want {
			t.Errorf("of a cache of %d bytes a command makes one of %d, want %d", size, got, want)
		}
	}
}
