// Package e2e runs the built dnsblproxy between real daemons on loopback and
// looks at what a mail server and its clients see.
//
// The daemons are rbldnsd as the lists, unbound and every other resolver that
// README has a recipe for in front of the proxy, unbound behind it, NSD as an
// authority, Postfix with smtpd and postscreen, Exim and Haraka as mail
// servers, rspamd and SpamAssassin as filters, configured with the lines that
// README shows; beside them stand small servers of our own that fail in every
// way that a list or a feed can (Faulty, Authority).
// Each daemon runs in the foreground with a private folder and a private
// address of 127.0.0.0/8, so that usual ports can be used, nothing meets the
// machine's own daemons, and test runs do not meet each other. A daemon is up
// when it answers, never after a pause, and is stopped and reaped by the test
// that started it.
//
// Mail servers have no setting for their resolver. Postfix's daemons run in
// its own chroot, the private queue folder, whose etc/resolv.conf names the
// address at which the proxy listens on port 53, as an administrator would do
// it; Exim and Haraka see such a file in a mount namespace. That needs root.
//
// A test that misses a daemon (or root) skips, but fails where the
// environment variable CI is set.
//
// The package imports nothing of the module: it knows the program by its
// command line, its configuration and its packets alone.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain builds the program once for all tests, with the race detector if
// the tests have it. -short leaves all of them out.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Println("-short: no daemons are started, so nothing is tested here")
		return 0
	}
	if os.Getenv(binaryVariable) != "" {
		return m.Run() // a test runs itself again in another network namespace
	}
	dir, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	argv := []string{"build", "-o", filepath.Join(dir, "dnsblproxy")}
	if raceEnabled {
		argv = append(argv, "-race")
	}
	build := exec.Command("go", append(argv, "dnsblproxy/cmd/dnsblproxy")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building dnsblproxy: %v\n%s", err, out)
		return 1
	}
	os.Setenv(binaryVariable, filepath.Join(dir, "dnsblproxy"))
	// The tests wait far more than they compute. A -parallel of the command
	// line still counts.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "6")
	}
	return m.Run()
}
