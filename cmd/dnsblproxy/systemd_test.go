//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestSystemd starts the server as the units would: with sockets that it
// inherits, a socket to report to, and a watchdog.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	config := filepath.Join(dir, "config.toml")
	writeFile(t, config, "listen = [\"systemd\"]\n[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n"+
		"[zone.\"local.example\"]\nsource = \"deny\"\n[deny.own]\nzones = [\"local.example\"]\ncidr = [\"192.0.2.66\"]\n")
	addr, files := inheritable(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// The shell knows the process that LISTEN_PID has to name.
	serve := exec.CommandContext(ctx, "sh", "-c", `LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$0" serve --config "$1"`, self(t), config)
	serve.Env = append(os.Environ(), "LISTEN_FDS=2", "WATCHDOG_USEC=200000", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	serve.ExtraFiles = files
	var log bytes.Buffer
	serve.Stderr = &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	wait := func(want string) {
		t.Helper()
		if err := waitNotice(manager, want); err != nil {
			t.Fatalf("waiting for %q: %v\n%s", want, err, &log)
		}
	}
	wait("READY=1\nSTATUS=zones served: 1, rules: 1")
	for _, transport := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: transport, Timeout: time.Minute}
		answer, _, err := c.Exchange(new(dns.Msg).SetQuestion("66.2.0.192.local.example.", dns.TypeA), addr)
		if err != nil || len(answer.Answer) != 1 {
			t.Errorf("by %s: %v, %v", transport, answer, err)
		}
	}
	wait("WATCHDOG=1")
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := serve.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGHUP)
	wait("RELOADING=1\nMONOTONIC_USEC=")
	wait("READY=1\nSTATUS=zones served: 1, rules: 1")
	writeFile(t, config, "listen = 1\n")
	signal(syscall.SIGHUP)
	wait("READY=1\nSTATUS=zones served: 1, rules: 1; the changed configuration is refused")
	signal(syscall.SIGTERM)
	wait("STOPPING=1")
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v\n%s", err, &log)
	}
	// systemd does not start it again after status 2: the configuration is wrong.
	writeFile(t, config, "listen = [\"systemd\"]\nlisen = 1\n")
	err = exec.Command(self(t), "serve", "--config", config).Run()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != exitWrong {
		t.Errorf("serve with a wrong configuration: %v, want status %d", err, exitWrong)
	}
}

// TestSystemd_crash_is_no_wrong_configuration ends the server as the watchdog
// does. The unit is not to take that for the status with which it gives up.
func TestSystemd_crash_is_no_wrong_configuration(t *testing.T) {
	unit := string(read(t, filepath.Join(deployDir, "systemd/dnsblproxy.service")))
	if !strings.Contains(unit, fmt.Sprintf("\nRestartPreventExitStatus=%d\n", exitWrong)) {
		t.Errorf("the unit does not give up after status %d", exitWrong)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	writeFile(t, config, "listen = [\""+freeAddr(t)+"\"]\n[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n"+
		"[zone.\"local.example\"]\nsource = \"deny\"\n")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	serve := exec.Command(self(t), "serve", "--config", config)
	serve.Dir = dir
	serve.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	for line := range strings.Lines(unit) {
		if variable, ok := strings.CutPrefix(line, "Environment="); ok {
			serve.Env = append(serve.Env, strings.TrimSpace(variable))
		}
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	if err := waitNotice(manager, "READY=1"); err != nil {
		t.Error(err)
	}
	if err := serve.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	err = serve.Wait()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("after SIGABRT: %v, want the end by a signal", err)
	}
}

// TestSystemd_sockets_left hands over sockets that the configuration does not
// name, where questions wait in vain, and half of those that it does.
func TestSystemd_sockets_left(t *testing.T) {
	addr, files := inheritable(t)
	for listen, want := range map[string]string{freeAddr(t): addr, "systemd": "no TCP socket"} {
		udp, err := net.FilePacketConn(files[0])
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		d, _ := adminOf(t, strings.Replace(rereadConfig, "127.0.0.1:5353", listen, 1))
		var log bytes.Buffer
		d.log = slog.New(slog.NewTextHandler(&log, nil))
		srv, err := d.listen(sockets{udp: []*net.UDPConn{udp.(*net.UDPConn)}})
		if err != nil {
			t.Fatal(err)
		}
		srv.Close()
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), want) {
			t.Errorf("with listen = [%q] the log says %q, want a warning of %s", listen, &log, want)
		}
	}
}

// TestSystemd_socket_of_both_families holds that a socket which systemd has
// opened for IPv4 too, as it does unless told otherwise, is ours at 127.0.0.1.
func TestSystemd_socket_of_both_families(t *testing.T) {
	for network, want := range map[string]int{"udp": 2, "udp6": 1} {
		c, err := net.ListenPacket(network, "[::]:0")
		if err != nil {
			t.Skip("this machine has no IPv6")
		}
		defer c.Close()
		own := sockets{udp: []*net.UDPConn{c.(*net.UDPConn)}}
		if got := own.addrs(); len(got) != want || got[0].Port() != got[want-1].Port() || want == 2 && !got[1].Addr().Is4() {
			t.Errorf("a socket of %s is %v, want %d", network, got, want)
		}
	}
}

// TestSystemd_socket_gives_up holds that systemd closes the port when questions
// start a server again and again that leaves at once, that a server which
// crashes is not taken for one, and that whoever starts the service has the
// port opened again.
func TestSystemd_socket_gives_up(t *testing.T) {
	setting := func(unit, key string) string {
		_, rest, _ := strings.Cut(string(read(t, filepath.Join(deployDir, "systemd", unit))), "\n"+key+"=")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	within, _ := time.ParseDuration(setting("dnsblproxy.socket", "TriggerLimitIntervalSec"))
	times, _ := strconv.Atoi(setting("dnsblproxy.socket", "TriggerLimitBurst"))
	pause, _ := time.ParseDuration(setting("dnsblproxy.service", "RestartSec"))
	if times == 0 || pause == 0 || within != time.Duration(times)*pause {
		t.Errorf("the port is closed after %d starts within %v; a server that crashes is started every %v", times, within, pause)
	}
	if by := strings.Fields(setting("dnsblproxy.socket", "WantedBy")); !slices.Contains(by, "dnsblproxy.service") {
		t.Errorf("the socket is wanted by %q, want it to come with the service", by)
	}
}

// TestSystemd_reload_while_starting sends SIGHUP while the configuration is
// read. systemd takes the end by SIGHUP for a clean one, and starts nothing
// again.
func TestSystemd_reload_while_starting(t *testing.T) {
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	config, slow := filepath.Join(dir, "config.toml"), filepath.Join(dir, "slow")
	text := "listen = [\"" + freeAddr(t) + "\"]\n[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n" +
		"[zone.\"local.example\"]\nsource = \"deny\"\n"
	if err := syscall.Mkfifo(config, 0o600); err != nil {
		t.Fatal(err)
	}
	serve := exec.CommandContext(t.Context(), self(t), "serve", "--config", config)
	serve.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	reading, err := os.OpenFile(config, os.O_WRONLY, 0) // once the server has opened it
	if err == nil {
		err = os.Rename(config, slow)
	}
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, text)
	if err := serve.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := reading.WriteString(text); err != nil {
		t.Errorf("while it reads the configuration: %v", err)
	}
	reading.Close()
	for _, want := range []string{"RELOADING=1", "READY=1"} {
		if err := waitNotice(manager, want); err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
}

// TestSystemd_admin_taken has DNS start although another program has the admin
// address.
func TestSystemd_admin_taken(t *testing.T) {
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	config := filepath.Join(dir, "config.toml")
	writeFile(t, config, fmt.Sprintf("listen = [%q]\n[admin]\nlisten = %q\n[resolver]\nservers = [\"127.0.0.1:1\"]\n"+
		"[zone.\"local.example\"]\nsource = \"deny\"\n", freeAddr(t), other.Addr()))
	serve := exec.CommandContext(t.Context(), self(t), "serve", "--config", config)
	serve.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	var log bytes.Buffer
	serve.Stderr = &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	if err := waitNotice(manager, "READY=1"); err != nil {
		t.Errorf("waiting for its readiness: %v", err)
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if !strings.Contains(log.String(), "nobody answers at the admin address") {
		t.Errorf("the log does not say that the admin address is taken:\n%s", &log)
	}
}

// self is this test as the program, which TestMain turns it into.
func self(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("dnsblproxy")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// inheritable binds a UDP and a TCP socket to one address, as systemd would.
func inheritable(t *testing.T) (addr string, files []*os.File) {
	t.Helper()
	addr, tcp, udp := bothAt(t)
	for _, s := range []interface {
		File() (*os.File, error)
		io.Closer
	}{udp.(*net.UDPConn), tcp.(*net.TCPListener)} {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		s.Close()
		files = append(files, f)
	}
	return addr, files
}

// waitNotice reads what the server reports until it begins with want.
func waitNotice(manager *net.UnixConn, want string) error {
	if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	buf := make([]byte, 1024)
	for {
		n, err := manager.Read(buf)
		if err != nil || strings.HasPrefix(string(buf[:n]), want) {
			return err
		}
	}
}
