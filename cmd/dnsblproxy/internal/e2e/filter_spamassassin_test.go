package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SpamAssassin is a mail filter with one list and nothing else to ask.
type SpamAssassin struct {
	command []string
}

// prepareSpamAssassin gives the rule RBL_TEST to a client that zone lists.
// The resolver is the recipe's.
func prepareSpamAssassin(t testing.TB, zone string, proxy netip.AddrPort) *SpamAssassin {
	t.Helper()
	program := needProgram(t, "spamassassin")
	dir := folder(t)
	write(t, dir, "site/init.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n"+
		"loadplugin Mail::SpamAssassin::Plugin::DNSEval\n")
	write(t, dir, "rules/10_default.cf", "util_rb_tld example net org\n")
	write(t, dir, "site/local.cf", fmt.Sprintf(`%s
dns_available yes
trusted_networks 198.51.100.25
internal_networks 198.51.100.25
clear_report_template
report hits=_TESTS(,)_.
header RBL_TEST eval:check_rbl('test-lastexternal', '%s.')
describe RBL_TEST listed in the test's list
tflags RBL_TEST net
score RBL_TEST 3
`, readRecipe(t, "SpamAssassin", zone, proxy).with(t, "dns_server "), zone))
	prefs := write(t, dir, "prefs", "")
	return &SpamAssassin{command: []string{program, "--test-mode", "--configpath=" + filepath.Join(dir, "rules"),
		"--siteconfigpath=" + filepath.Join(dir, "site"), "--prefspath=" + prefs, "--nocreate-prefs"}}
}

// lists tells whether SpamAssassin finds the client of a message listed.
func (s *SpamAssassin) lists(t testing.TB, client string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`Received: from client.example.net (unknown [%s])
	by mx.example.org (Postfix) with ESMTP id 4B1 for <user@example.org>;
	Mon, 01 Jun 2026 12:00:00 +0000
Received: from mx.example.org (mx.example.org [198.51.100.25])
From: sender@example.net
To: user@example.org
Subject: a test
Message-ID: <a@example.net>
Date: Mon, 01 Jun 2026 12:00:00 +0000

Hello.
`, client))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("spamassassin: %v\n%s", err, stderr.String())
	}

	return strings.Contains(stdout.String(), "RBL_TEST")
}
