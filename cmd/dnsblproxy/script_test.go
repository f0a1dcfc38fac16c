package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dnsblproxy": main})
}

// TestScripts runs the command line as its users do. Beside testscript's own
// commands a script may write
//
//	exits N COMMAND ...   run it and want exit status N
//	dns FILE              serve the records of a zone file on $DNS
//	api FILE              serve the exemptions of a JSON file on $ADMIN
//	expand FILE           replace $NAME in the file by the variables
//	mode FILE OCTAL       want these permissions
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "", // rewrites what cmp compares with
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "dns": scriptDNS, "api": scriptAPI, "expand": scriptExpand, "mode": scriptMode,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND ...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func scriptDNS(ts *testscript.TestScript, _ bool, args []string) {
	records := map[dns.Question][]dns.RR{}
	names := map[string]bool{}
	p := dns.NewZoneParser(strings.NewReader(ts.ReadFile(args[0])), ".", args[0])
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		h := rr.Header()
		q := dns.Question{Name: dns.CanonicalName(h.Name), Qtype: h.Rrtype, Qclass: dns.ClassINET}
		records[q] = append(records[q], rr)
		names[q.Name] = true
	}
	ts.Check(p.Err())
	answer := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		key := q.Question[0]
		key.Name = dns.CanonicalName(key.Name)
		m.Answer = records[key]
		switch {
		case strings.HasPrefix(key.Name, "servfail."):
			m.Rcode = dns.RcodeServerFailure
		case !names[key.Name]:
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m) // the client asks again
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	ts.Check(err)
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(answer)}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	ts.Defer(func() {
		conn.Close()
		<-done
	})
	ts.Setenv("DNS", conn.LocalAddr().String())
}

func scriptAPI(ts *testscript.TestScript, _ bool, args []string) {
	answer := json.RawMessage(ts.ReadFile(args[0]))
	s, err := admin.Open(admin.Options{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Token: ts.Getenv("TOKEN"), Page: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler),
		API: map[string]admin.Endpoint{"exemptions": func(context.Context, url.Values) (any, error) { return answer, nil }},
	})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ts.Defer(func() {
		cancel()
		<-done
	})
	ts.Setenv("ADMIN", s.Addr().String())
}

func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}
