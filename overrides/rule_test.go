package overrides

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestOpen_names_every_problem(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.txt")
	write(t, bad, "\n1.2.3.4/8\n.\n")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	rules := []Rule{
		fileRule(bad),
		{Name: "lost", Enabled: true, File: filepath.Join(dir, "lost.txt")},
		{Name: "folder", Enabled: true, File: dir},
		{Name: "pipe", Enabled: true, File: pipe},
		{Name: "off", Enabled: false, File: filepath.Join(dir, "not-read.txt")},
	}
	var err error
	synctest.Test(t, func(*testing.T) { _, err = Open(rules, Options{}) }) // waits for those that may be just being written
	if err == nil {
		t.Fatal("Open accepts broken files")
	}
	for _, want := range []string{
		"bad.txt:2: 1.2.3.4/8 has host bits set; write 1.0.0.0/8 or 1.2.3.4",
		"bad.txt:3: \".\" is no domain name",
		"lost.txt: the rule file does not exist; create it",
		"a folder is no regular file",
		"a pipe is no regular file",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "not-read") {
		t.Errorf("a disabled rule's file was read:\n%v", err)
	}
}

func TestValidate(t *testing.T) {
	ok := Rule{Name: "x", Enabled: true, CIDR: []string{"192.0.2.1"}}
	with := func(f func(*Rule)) Rule {
		r := ok
		f(&r)
		return r
	}
	for _, tt := range []struct {
		rule Rule
		want string // in the one problem; empty: none
	}{
		{ok, ""},
		{with(func(r *Rule) { r.Name = "" }), "has no name"},
		{with(func(r *Rule) { r.CIDR = nil }), "has no source"},
		{with(func(r *Rule) { r.CIDR = []string{"192.0.2.5/24"} }), "allow.x.cidr: 192.0.2.5/24 has host bits set; write"},
		{with(func(r *Rule) { r.Domains = []string{"*.example.com"} }), "write .example.com"},
		{with(func(r *Rule) { r.SPF = []string{".example.com"} }), "write example.com"},
		{with(func(r *Rule) { r.SPF = []string{"example.com", "Example.com."} }), "twice"},
		{with(func(r *Rule) { r.A = []string{"192.0.2.1"} }), "is no domain name"},
		{with(func(r *Rule) { r.Except = []string{"192.0.2.1-"} }), "x.except"},
		{with(func(r *Rule) { r.Except = []string{"spf:a.example"} }), "no spf source"},
		{with(func(r *Rule) { r.SPF, r.Except = []string{"a.example"}, []string{"spf:A.example"} }), "whole of spf"},
		{with(func(r *Rule) { r.URL = "http://feeds.example/x" }), "insecure = true"},
		{with(func(r *Rule) { r.URL, r.Insecure = "http://feeds.example/x", true }), ""},
		{with(func(r *Rule) { r.URL = "http://127.0.0.1:8080/x" }), ""},
		{with(func(r *Rule) { r.URL = "http://[::1]/x" }), ""},
		{with(func(r *Rule) { r.URL = "http://127.0.0.1.evil.example/x" }), "not encrypted"},
		{with(func(r *Rule) { r.URL = "ftp://feeds.example/x" }), "neither https nor file"},
		{with(func(r *Rule) { r.URL = "https:///x" }), "names no host"},
		{with(func(r *Rule) { r.URL = "https://feeds.example:port/x" }), "it is no URL"},
		{with(func(r *Rule) { r.URL = "file://host/x" }), "no local file"},
		{with(func(r *Rule) { r.URL, r.JQ = "https://feeds.example/x", ".a[" }), "no jq program"},
		{with(func(r *Rule) { r.URL, r.JQ = "https://feeds.example/x", "nosuch(.)" }), "does not compile"},
		{with(func(r *Rule) { r.JQ = "." }), "no url"},
		{with(func(r *Rule) { r.Refresh = time.Hour }), "no url to refresh"},
		{with(func(r *Rule) { r.URL, r.Refresh = "https://feeds.example/x", time.Millisecond }), "1s to 24h"},
		{with(func(r *Rule) { r.URL, r.Refresh = "https://feeds.example/x", 25*time.Hour }), "1s to 24h"},
		{with(func(r *Rule) { r.MaxV4 = 33 }), "/33 is no prefix length"},
		{with(func(r *Rule) { r.Text = "no" }), "allow rule answers with no text"},
		{with(func(r *Rule) { r.Code = v4(0x7f000002).addr() }), "allow rule answers with no code"},
		{with(func(r *Rule) { r.Action = Deny }), "has to name its zones"},
		{with(func(r *Rule) { r.Action, r.Zones = Deny, []string{"a.example"} }), ""},
		{with(func(r *Rule) { r.Action, r.Zones, r.Code = Deny, []string{"a.example"}, v4(1<<24).addr() }), "outside 127.0.0.0/8"},
	} {
		got := Validate(tt.rule)
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].Error(), tt.want)) {
			t.Errorf("Validate(%+v) = %v, want one problem with %q", tt.rule, got, tt.want)
		}
	}
	for _, u := range []string{"http://feeds.example/k3y/x", "ftp://k3y@feeds.example/x", "https:///x?token=k3y", "https://feeds.example:k3y/x"} {
		r := with(func(r *Rule) { r.URL, r.Secrets = u, []string{"k3y"} })
		if got := fmt.Sprintf("%+v", *Validate(r)[0].(*Problem)); strings.Contains(got, "k3y") {
			t.Errorf("what is wrong with %s shows its key: %s", u, got)
		}
	}
	if w := Warnings(Rule{Name: "x", CIDR: []string{"0.0.0.0/0", "::/0", "10.0.0.0/8"}}); len(w) != 2 {
		t.Errorf("Warnings = %v, want two", w)
	}
}

// TestWarnings_except warns of exceptions that take nothing out of what is
// typed, and of none that others may make good tomorrow.
func TestWarnings_except(t *testing.T) {
	for _, tt := range []struct {
		rule Rule
		want int
	}{
		{Rule{CIDR: []string{"192.0.2.0/24"}, Except: []string{"192.0.2.0", "192.0.2.255", "192.0.2.7-198.51.100.1"}}, 0},
		{Rule{CIDR: []string{"192.0.2.0/24"}, Except: []string{"192.0.1.255", "192.0.3.0", "2001:db8::/32"}}, 3},
		{Rule{CIDR: []string{"::/0"}, Except: []string{"0.0.0.0/0"}}, 1 + 1}, // and the world
		{Rule{Domains: []string{"example.com"}, Except: []string{"192.0.2.1"}}, 1},
		{Rule{CIDR: []string{"junk"}, Except: []string{"192.0.2.1"}}, 0},
		{Rule{File: "x", Except: []string{"192.0.2.1"}}, 0},
		{Rule{URL: "x", Except: []string{"192.0.2.1"}}, 0},
		{Rule{SPF: []string{"example.com"}, Except: []string{"192.0.2.1", "spf:example.net"}}, 0},
		{Rule{MX: []string{"example.com"}, Except: []string{"192.0.2.1"}}, 0},
	} {
		if w := Warnings(tt.rule); len(w) != tt.want {
			t.Errorf("Warnings of %v without %v = %v, want %d", tt.rule.CIDR, tt.rule.Except, w, tt.want)
		}
	}
}
