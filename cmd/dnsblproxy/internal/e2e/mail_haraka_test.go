package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// Haraka is a mail server with the plugin dns-list, that accepts mail for
// example.org into files of the test.
type Haraka struct {
	*Process
	smtp netip.AddrPort // takes PROXY v1
}

// startHaraka skips where there is no Haraka, even in CI: no Debian package
// has it ("npm install -g Haraka haraka-plugin-dns-list"). It has no setting
// for its resolver, so it sees a resolv.conf of its own.
func startHaraka(t testing.TB, zone string, proxy netip.AddrPort) *Haraka {
	t.Helper()
	program, err := exec.LookPath("haraka")
	if err != nil {
		t.Skip("the recipe for Haraka is not tried: no haraka in PATH, and no Debian package has it; " +
			"npm install -g Haraka haraka-plugin-dns-list")
	}
	dir := folder(t)
	h := &Haraka{smtp: netip.AddrPortFrom(freeIP(t), 2525)}
	write(t, dir, "config/smtp.ini", fmt.Sprintf("listen=%s\n", h.smtp))
	write(t, dir, "config/log.ini", "[main]\nlevel=info\n")
	write(t, dir, "config/me", "mx.example.org\n")
	write(t, dir, "config/host_list", "example.org\n")
	write(t, dir, "config/plugins", "dns-list\nrcpt_to.in_host_list\nqueue/test\n")
	write(t, dir, "config/connection.ini", "[haproxy]\nhosts[] = 127.0.0.0/8\n[headers]\nmax_lines=1000\nmax_received=100\n"+
		"[max]\nbytes=100000\nmime_parts=10\nline_length=512\ndata_line_length=992\n"+
		"[message]\nhelo=hello\nclose=bye\n[uuid]\nbanner_chars=6\n")
	write(t, dir, "config/dns-list.ini", fmt.Sprintf("[main]\nzones[]=%[1]s\n[%[1]s]\nipv6=true\n", zone))
	mounts := map[string]string{"/etc/resolv.conf": write(t, dir, "resolv.conf", readRecipe(t, "Postfix", zone, proxy).with(t, "nameserver "))}
	h.Process = startProcess(t, []string{"TMPDIR=" + dir}, withMounts(t, mounts, program, "-c", dir)...)
	h.ready(t, accepts(h.smtp))
	// It asks no list before it has found the list's test entries in order.
	eventually(t, startTimeout, "haraka to take up the list", func() error {
		if !strings.Contains(h.Output(), "enabling block zone "+zone) {
			return errors.New("its log does not say so")
		}
		return nil
	})
	return h
}

// deliver hands over a message as a client of that address and returns the
// reply that decided.
func (h *Haraka) deliver(t testing.TB, client string) string {
	t.Helper()
	reply, err := session(h.smtp, proxyHeader(client), "EHLO client.example.net")
	if err != nil {
		t.Fatalf("smtp session as %s: %v", client, err)
	}
	return reply
}
