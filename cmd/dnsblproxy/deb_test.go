//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDeb builds the package twice, installs it into an empty tree, has
// systemd read its units and starts what was installed.
func TestDeb(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages")
	}
	tool(t, "dpkg-deb", "dpkg")
	arches := []string{runtime.GOARCH}
	if os.Getenv("DNSBLPROXY_DEB") == "all" {
		arches = []string{"amd64", "arm64"}
	}
	first, second := buildDebs(t, arches), buildDebs(t, arches)
	for i := range arches {
		a, b := read(t, first[i]), read(t, second[i])
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two builds of one source differ", filepath.Base(first[i]))
		}
		checkControl(t, first[i], arches[i])
	}
	tree := installDeb(t, first[slices.Index(arches, runtime.GOARCH)])
	t.Run("units", func(t *testing.T) { checkUnits(t, tree) })
	t.Run("start", func(t *testing.T) { startFrom(t, tree) })
	t.Run("purge", func(t *testing.T) { purgeDeb(t, tree) })
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// output runs a program and returns what it prints.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}

func buildDebs(t *testing.T, arches []string) []string {
	t.Helper()
	build := exec.Command(filepath.Join(deployDir, "deb/build.sh"), arches...)
	build.Env = append(os.Environ(), "VERSION=v1.2.3-4-gabcdef0", "COMMIT=0123abcd", "SOURCE_DATE_EPOCH=1700000000", "OUT="+t.TempDir())
	return strings.Fields(output(t, build))
}

// TestDeb_upgrade builds packages of two commits without a tag, without the
// program in them: the later one is the newer, whatever their names are, and
// alone in the folder from which README installs.
func TestDeb_upgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages")
	}
	tool(t, "dpkg-deb", "dpkg")
	out := t.TempDir()
	var packages, versions []string
	for _, env := range [][]string{{"VERSION=fedcba9", "SOURCE_DATE_EPOCH=1700000000"}, {"VERSION=0123456", "SOURCE_DATE_EPOCH=1700000001"}} {
		build := exec.Command(filepath.Join(deployDir, "deb/build.sh"), "amd64")
		build.Env = append(append(os.Environ(), "GO=true", "COMMIT=0123abcd", "OUT="+out), env...)
		packages = strings.Fields(output(t, build))
		versions = append(versions, strings.TrimSpace(output(t, exec.Command("dpkg-deb", "--field", packages[0], "Version"))))
	}
	if err := exec.Command("dpkg", "--compare-versions", versions[0], "lt", versions[1]).Run(); err != nil {
		t.Errorf("%s is not older than %s: %v", versions[0], versions[1], err)
	}
	if found, err := filepath.Glob(filepath.Join(out, "*.deb")); !slices.Equal(found, packages) {
		t.Errorf("in the folder are %q (%v), want the last one alone", found, err)
	}
}

// TestDeb_postinst: an upgrade keeps the process that runs where the new program
// refuses the configuration. The programs that it calls are ours.
func TestDeb_postinst(t *testing.T) {
	for _, tt := range []struct {
		name          string
		active, wrong bool
		restarts      bool
	}{
		{"upgrade", true, false, true},
		{"upgrade that refuses the configuration", true, true, false},
		{"nothing that could be kept", false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			calls := filepath.Join(dir, "calls")
			for name, status := range map[string]bool{
				"systemd-sysusers": true, "chgrp": true, "deb-systemd-helper": true, "deb-systemd-invoke": true,
				"systemctl": tt.active, "dnsblproxy": !tt.wrong,
			} {
				path := filepath.Join(dir, name)
				writeFile(t, path, fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s\n%t\n", name, calls, status))
				if err := os.Chmod(path, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			script := strings.ReplaceAll(string(read(t, filepath.Join(deployDir, "deb/postinst"))), "/run/systemd/system", dir)
			cmd := exec.Command("sh", "-c", script, "postinst", "configure", "1.0")
			cmd.Env = append(os.Environ(), "DPKG_ROOT=", "PATH="+dir+":"+os.Getenv("PATH"))
			output(t, cmd)
			if called := string(read(t, calls)); strings.Contains(called, "deb-systemd-invoke restart dnsblproxy.service\n") != tt.restarts {
				t.Errorf("restarted: %t, want %t; called were\n%s", !tt.restarts, tt.restarts, called)
			}
		})
	}
}

func checkControl(t *testing.T, deb, arch string) {
	t.Helper()
	control := output(t, exec.Command("dpkg-deb", "--field", deb, "Package", "Version", "Architecture"))
	if want := "Package: dnsblproxy\nVersion: 1.2.3+4+gabcdef0\nArchitecture: " + arch + "\n"; control != want {
		t.Errorf("control says:\n%swant:\n%s", control, want)
	}
	list := output(t, exec.Command("dpkg-deb", "--contents", deb))
	for _, path := range []string{
		"usr/bin/dnsblproxy", "etc/dnsblproxy/config.toml", "usr/lib/systemd/system/dnsblproxy.service",
		"usr/lib/systemd/system/dnsblproxy.socket", "usr/lib/sysusers.d/dnsblproxy.conf",
		"usr/share/man/man1/dnsblproxy.1.gz", "usr/share/man/man1/dnsblproxy-serve.1.gz", "usr/share/man/man5/dnsblproxy.toml.5.gz",
		"usr/share/bash-completion/completions/dnsblproxy", "usr/share/zsh/vendor-completions/_dnsblproxy",
		"usr/share/fish/vendor_completions.d/dnsblproxy.fish", "usr/share/doc/dnsblproxy/copyright",
		"usr/share/doc/dnsblproxy/licenses.gz", "usr/share/doc/dnsblproxy/docs/CONFIG.md", // where README links to
	} {
		if !strings.Contains(list, " ./"+path+"\n") {
			t.Errorf("%s holds no %s", filepath.Base(deb), path)
		}
	}
	for line := range strings.Lines(list) {
		if !strings.Contains(line, " root/root ") || !strings.Contains(line, " 2023-11-14 22:13 ") {
			t.Errorf("owner or time is of this machine: %s", line)
		}
	}
}

// installDeb installs into an empty tree. Only root can have dpkg do so;
// others unpack.
func installDeb(t *testing.T, deb string) (tree string) {
	t.Helper()
	tree = t.TempDir()
	if os.Getuid() != 0 {
		output(t, exec.Command("dpkg-deb", "--extract", deb, tree))
		return tree
	}
	for path, text := range map[string]string{
		"var/lib/dpkg/status": "", "var/lib/dpkg/info/format": "1\n", "var/lib/dpkg/updates/.keep": "", "var/log/.keep": "",
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n",
	} {
		writeFile(t, filepath.Join(tree, path), text)
	}
	if err := os.Remove(filepath.Join(tree, "var/lib/dpkg/updates/.keep")); err != nil {
		t.Fatal(err)
	}
	dpkg(t, tree, "--install", deb)
	passwd := string(read(t, filepath.Join(tree, "etc/passwd")))
	if !regexp.MustCompile(`(?m)^dnsblproxy:[^:]*:\d+:\d+:[^:]*:/var/lib/dnsblproxy:/usr/sbin/nologin$`).MatchString(passwd) {
		t.Errorf("there is no user dnsblproxy:\n%s", passwd)
	}
	config := filepath.Join(tree, "etc/dnsblproxy/config.toml")
	info, err := os.Stat(config)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != 0o640 || gid == 0 {
		t.Errorf("config.toml has mode %o and group %d; only the service is to read it", info.Mode().Perm(), gid)
	}
	// What the administrator wrote survives an upgrade.
	mine := string(read(t, config)) + "# mine\n"
	writeFile(t, config, mine)
	dpkg(t, tree, "--install", deb)
	if got := string(read(t, config)); got != mine {
		t.Error("an upgrade has overwritten config.toml")
	}
	return tree
}

func dpkg(t *testing.T, tree string, args ...string) {
	t.Helper()
	cmd := exec.Command("dpkg", append([]string{"--root=" + tree, "--force-script-chrootless", "--force-depends"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "DEBIAN_FRONTEND=noninteractive")
	output(t, cmd)
}

// purgeDeb: a removal keeps what a later installation goes on with, a purge
// nothing but what the administrator put beside it.
func purgeDeb(t *testing.T, tree string) {
	if os.Getuid() != 0 {
		t.Skip("only root can have dpkg install into a tree")
	}
	config, state := filepath.Join(tree, "etc/dnsblproxy/config.toml"), filepath.Join(tree, "var/lib/dnsblproxy/lists/report.json")
	mine := filepath.Join(tree, "etc/dnsblproxy/allow.d/efax.txt")
	writeFile(t, state, "{}")
	writeFile(t, mine, "192.0.2.7\n")
	there := func(when string, want bool, paths ...string) {
		t.Helper()
		for _, path := range paths {
			if _, err := os.Stat(path); (err == nil) != want {
				t.Errorf("%s: %s is there: %t, want %t", when, path, err == nil, want)
			}
		}
	}
	dpkg(t, tree, "--remove", "dnsblproxy")
	there("removed", false, filepath.Join(tree, "usr/bin/dnsblproxy"))
	there("removed", true, config, state, mine)
	dpkg(t, tree, "--purge", "dnsblproxy")
	there("purged", false, config, filepath.Join(tree, "var/lib/dnsblproxy"))
	there("purged", true, mine)
}

// checkUnits has systemd read the units. Versions before 253 complain about
// notify-reload, as the unit says.
func checkUnits(t *testing.T, tree string) {
	analyze := tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"dnsblproxy.service", "dnsblproxy.socket"} {
		text := string(read(t, filepath.Join(tree, "usr/lib/systemd/system", name)))
		path := filepath.Join(dir, name)
		writeFile(t, path, strings.ReplaceAll(text, "=/usr/bin/dnsblproxy ", "="+tree+"/usr/bin/dnsblproxy "))
		units = append(units, path)
	}
	out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Failed to parse service type, ignoring: notify-reload") {
			t.Errorf("systemd-analyze (%v): %s", err, line)
		}
	}
}

// startFrom runs what was installed as its unit would, on a port of its own.
func startFrom(t *testing.T, tree string) {
	program := filepath.Join(tree, "usr/bin/dnsblproxy")
	config := filepath.Join(tree, "etc/dnsblproxy/config.toml")
	output(t, exec.Command(program, "check", "--offline", "--config", config))
	if got := output(t, exec.Command(program, "version")); !strings.HasPrefix(got, "dnsblproxy v1.2.3-4-gabcdef0\ncommit 0123abcd\n") {
		t.Errorf("version prints %q", got)
	}
	// The network must not matter: the list is asked of a port where nobody is.
	addr := freeAddr(t)
	text := strings.NewReplacer(`"127.0.0.1:5353"`, `"`+addr+`"`, `"127.0.0.1:9353"`, `""`, "servers  = []", `servers = ["127.0.0.1:1"]`).
		Replace(string(read(t, config)))
	writeFile(t, config, text)
	var log bytes.Buffer
	serve := exec.Command(program, "serve", "--config", config)
	serve.Env = append(os.Environ(), "STATE_DIRECTORY="+t.TempDir())
	serve.Stderr = &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg).SetQuestion("66.100.51.198.local.rbl.internal.", dns.TypeA)
	answer, err := ask(addr, q)
	if err != nil || len(answer.Answer) != 1 || answer.Answer[0].(*dns.A).A.String() != "127.0.0.2" {
		t.Errorf("the deny rule of the packaged configuration: %v, %v", answer, err)
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v\n%s", err, &log)
	}
}

// ask repeats a question until the server that has just been started answers.
func ask(addr string, q *dns.Msg) (answer *dns.Msg, err error) {
	c := &dns.Client{Timeout: time.Second}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if answer, _, err = c.Exchange(q, addr); err == nil {
			return answer, nil
		}
		<-time.After(20 * time.Millisecond)
	}
	return nil, err
}
