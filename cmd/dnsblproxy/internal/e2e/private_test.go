package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mountScript mounts its pairs of arguments over each other, up to "--", and
// becomes the command behind that.
const mountScript = `while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; shift; exec "$@"`

// withMounts is a command that sees other files and folders in place of some
// of the system's, such as /etc/resolv.conf, in a mount namespace of its own.
// Mounts are the files to see by the path at which they are seen.
func withMounts(t testing.TB, mounts map[string]string, argv ...string) []string {
	t.Helper()
	needRoot(t)
	unshare := needProgram(t, "unshare")
	if out, err := exec.Command(unshare, "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespaces on this machine: %s", out)
	}
	command := []string{unshare, "--mount", "--", "/bin/sh", "-c", mountScript, "sh"}
	for at, file := range mounts {
		command = append(command, file, at)
	}
	return slices.Concat(command, []string{"--"}, argv)
}

// withUser are mounts of an /etc/passwd and an /etc/group that hold a system
// user, for a daemon that was unpacked but not installed.
func withUser(t testing.TB, dir, name string) map[string]string {
	t.Helper()
	mounts := make(map[string]string)
	for path, line := range map[string]string{
		"/etc/passwd": name + ":x:64321:64321::/nonexistent:/usr/sbin/nologin\n",
		"/etc/group":  name + ":x:64321:\n",
	} {
		text := read(t, path)
		if !strings.Contains(text, "\n"+name+":") {
			text += line
		}
		mounts[path] = write(t, dir, filepath.Base(path), text)
	}
	return mounts
}

// unpacked finds a program, library or folder of a Debian package that
// scripts/test-packages.sh unpacks because it must not install it: Exim would
// remove Postfix, systemd-resolved would take the machine's resolv.conf.
// Without it the result is empty. The path may be a pattern.
func unpacked(t testing.TB, path string) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join(projectRoot, "dist", "testroot"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// needUnpacked is needProgram for a program that may have been unpacked only,
// with the paths at which Debian's releases have it.
func needUnpacked(t testing.TB, paths ...string) string {
	t.Helper()
	for _, path := range paths {
		if program := unpacked(t, path); program != "" {
			return program
		}
		if info, err := os.Stat("/" + path); err == nil && info.Mode().IsRegular() {
			return "/" + path
		}
	}
	missing(t, filepath.Base(paths[0])+" is not there; make packages unpacks it")
	return ""
}
