package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// Exim is a configuration of a mail server that accepts mail for example.org.
type Exim struct {
	command []string
}

// prepareExim writes the configuration with the recipe's dnslists in it. Exim
// has no setting for its resolver, so it sees a resolv.conf of its own.
func prepareExim(t testing.TB, zone string, proxy netip.AddrPort) *Exim {
	t.Helper()
	program := needUnpacked(t, "usr/sbin/exim4")
	dir := folder(t)
	conf := write(t, dir, "exim.conf", fmt.Sprintf(`primary_hostname = mx.example.org
domainlist local_domains = example.org
spool_directory = %[1]s/spool
log_file_path = %[1]s/%%slog
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
	deny message = $sender_host_address blocked using $dnslist_domain: $dnslist_text
		%[2]s
	accept domains = +local_domains
	deny
acl_data:
	discard
`, dir, readRecipe(t, "Exim", zone, proxy).with(t, "dnslists = ")))
	mounts := withUser(t, dir, "Debian-exim")
	mounts["/etc/resolv.conf"] = write(t, dir, "resolv.conf", readRecipe(t, "Postfix", zone, proxy).with(t, "nameserver "))
	return &Exim{command: withMounts(t, mounts, program, "-C", conf)}
}

// deliver plays a session with a client of that address through Exim's host
// test (-bh), which runs the access lists and all their questions, and
// returns the reply that decided.
func (e *Exim) deliver(t testing.TB, client string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), smtpTimeout)
	defer cancel()
	argv := append(e.command[1:len(e.command):len(e.command)], "-bh", client)
	cmd := exec.CommandContext(ctx, e.command[0], argv...)
	cmd.Stdin = strings.NewReader("EHLO client.example.net\r\nMAIL FROM:<sender@example.net>\r\n" +
		"RCPT TO:<user@example.org>\r\nQUIT\r\n")
	var replies, steps bytes.Buffer
	cmd.Stdout, cmd.Stderr = &replies, &steps
	if err := cmd.Run(); err != nil {
		t.Fatalf("exim -bh %s: %v\n%s", client, err, steps.String())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("exim -bh %s:\n%s", client, tail(steps.String(), 40))
		}
	})
	return decidingReply(replies.String())
}

// decidingReply picks from all replies of a session the first that refuses,
// else the last one before the farewell, on one line.
func decidingReply(replies string) string {
	last, open := "", ""
	for line := range strings.Lines(replies) {
		line = strings.TrimSpace(line)
		if len(line) < 4 || line[0] < '2' || line[0] > '5' || strings.HasPrefix(line, "221") {
			continue
		}
		if line[3] == '-' {
			open += line[4:] + " "
			continue
		}
		last, open = line[:4]+open+line[4:], ""
		if last[0] >= '4' {
			break
		}
	}
	return last
}
