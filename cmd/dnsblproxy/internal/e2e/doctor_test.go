package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// finding is one of doctor --json.
type finding struct {
	Check   string
	OK      bool
	Finding string
	Fix     string
}

// doctor runs the command on the files below root and returns what it found
// wrong. The clock is the machine's and left out.
func (p *Proxy) doctor(t *testing.T, root string) (checks []string, wrong []finding) {
	t.Helper()
	status, stdout, stderr := p.command(t, "doctor", "--root", root, "--json")
	var all []finding
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		t.Fatalf("doctor: %v\n%s%s", err, stdout, stderr)
	}
	failed := false
	for _, f := range all {
		failed = failed || !f.OK
		if f.Check == "clock" {
			continue
		}
		if !slices.Contains(checks, f.Check) {
			checks = append(checks, f.Check)
		}
		if !f.OK {
			wrong = append(wrong, f)
		}
	}
	if want := map[bool]int{false: 0, true: 1}[failed]; status != want {
		t.Errorf("doctor left with status %d, want %d", status, want)
	}
	return checks, wrong
}

// TestDoctor looks at a machine whose resolv.conf names the proxy, then at
// others: unbound in between, with and without what it needs.
func TestDoctor(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	proxy := startProxy(t, ProxyOptions{Port53: true, Config: zone("bl.example", "", list.Addr)})
	root := folder(t)
	write(t, root, "etc/resolv.conf", fmt.Sprintf("nameserver %s\n", proxy.Addr.Addr()))
	write(t, root, "etc/postfix/main.cf", "smtpd_client_restrictions = reject_rbl_client bl.example\n")
	checks, wrong := proxy.doctor(t, root)
	if len(wrong) > 0 {
		t.Errorf("on a sound machine: %+v", wrong)
	}
	if want := "server resolv.conf path rebind zones keys public-resolver clients lists sources"; strings.Join(checks, " ") != want {
		t.Errorf("checks %q, want %s", checks, want)
	}

	write(t, root, "etc/postfix/main.cf", "smtpd_client_restrictions = reject_rbl_client bl.example,\n  reject_rbl_client other.example\n")
	write(t, root, "etc/resolv.conf", fmt.Sprintf("nameserver %s\nnameserver 127.0.0.99\n", list.Addr.Addr()))
	_, wrong = proxy.doctor(t, root)
	var got []string
	for _, f := range wrong {
		got = append(got, f.Check)
	}
	if want := "resolv.conf path path zones"; strings.Join(got, " ") != want {
		t.Errorf("on a broken machine %+v, want %s", wrong, want)
	}

	status, stdout, stderr := proxy.command(t, "doctor", "--root", root)
	if status != 1 || !strings.Contains(stdout, "WRONG  zones") || !strings.Contains(stdout, `add [zone."other.example"]`) {
		t.Errorf("doctor for people: status %d\n%s%s", status, stdout, stderr)
	}
}

// TestDoctor_rebind has unbound between, which takes 127.0.0.0/8 out of what
// it forwards.
func TestDoctor_rebind(t *testing.T) {
	t.Parallel()
	needRoot(t) // for port 53
	list := startFaulty(t, "bl.example")
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr)})
	for _, c := range []struct{ lines, want string }{
		{"", ""},
		{"\tprivate-address: 127.0.0.0/8", "rebind"},
		{"\tprivate-address: 127.0.0.0/8\n\tprivate-domain: \"bl.example\"", ""},
	} {
		resolver := startUnbound(t, 53, "\tdo-not-query-localhost: no\n\tdomain-insecure: \"bl.example\"\n"+c.lines,
			fmt.Sprintf("forward-zone:\n\tname: \"bl.example\"\n\tforward-addr: %s@%d\n", proxy.Addr.Addr(), proxy.Addr.Port()))
		root := folder(t)
		write(t, root, "etc/resolv.conf", fmt.Sprintf("nameserver %s\n", resolver.Addr()))
		_, wrong := proxy.doctor(t, root)
		var got []string
		for _, f := range wrong {
			got = append(got, f.Check)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("unbound with %q: %+v, want %q", c.lines, wrong, c.want)
		}
	}
}
