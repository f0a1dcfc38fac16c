package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// PostfixOptions are what differs between the mail servers of the tests.
type PostfixOptions struct {
	Nameserver netip.Addr // the only line of its resolv.conf; port 53
	Client     string     // smtpd_client_restrictions
	Screen     string     // postscreen_dnsbl_sites with weights; empty: no postscreen
	Threshold  int        // postscreen_dnsbl_threshold
}

// Postfix is a mail server of its own, with a private configuration and queue,
// that accepts mail for example.org and throws it away.
type Postfix struct {
	*Process
	SMTPD  netip.AddrPort // takes XCLIENT
	Screen netip.AddrPort // postscreen, takes PROXY v1
	log    string
}

// startPostfix needs root: Postfix changes its users and its root folder.
func startPostfix(t testing.TB, o PostfixOptions) *Postfix {
	t.Helper()
	program := needProgram(t, "postfix")
	needRoot(t)
	dir := folder(t)
	ip := freeIP(t)
	p := &Postfix{
		SMTPD:  netip.AddrPortFrom(ip, 2525),
		Screen: netip.AddrPortFrom(ip, 2526),
		log:    filepath.Join(dir, "mail.log"),
	}
	write(t, dir, "etc/main.cf", mainCf(dir, o))
	write(t, dir, "etc/master.cf", masterCf(p, o.Screen != ""))
	ownedByPostfix(t, filepath.Join(dir, "data"))
	// The chroot of its daemons is the queue folder.
	write(t, dir, "queue/etc/resolv.conf", fmt.Sprintf("nameserver %s\noptions timeout:20 attempts:1\n", o.Nameserver))
	write(t, dir, "queue/etc/services", "smtp 25/tcp\ndomain 53/udp\ndomain 53/tcp\n")
	write(t, dir, "queue/etc/hosts", "127.0.0.1 localhost\n")

	etc := filepath.Join(dir, "etc")
	if out, err := exec.Command(program, "-c", etc, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s%s", err, out, p.Log(t))
	}
	p.Process = startProcess(t, nil, filepath.Join(daemonFolder(t, etc), "master"), "-c", etc, "-d")
	dieWithTest(t, p.cmd.Process.Pid)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("mail.log:\n%s", tail(p.Log(t), 60))
		}
	})
	p.ready(t, accepts(p.SMTPD))
	return p
}

// dieWithTest ends the process should the test die without doing so (a
// timeout, ^C): Postfix's master changes its user, and with that loses the
// kernel's order to die. A shell waits for the end of its input instead.
func dieWithTest(t testing.TB, pid int) {
	t.Helper()
	watch := exec.Command("/bin/sh", "-c", "read -r _; kill $0", strconv.Itoa(pid))
	watch.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is not for it
	if _, err := watch.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		watch.Process.Kill()
		watch.Wait()
	})
}

// ownedByPostfix makes a folder for what Postfix's daemons keep, its lock among it.
func ownedByPostfix(t testing.TB, dir string) {
	t.Helper()
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
}

func daemonFolder(t testing.TB, etc string) string {
	t.Helper()
	out, err := exec.Command(needProgram(t, "postconf"), "-c", etc, "-h", "daemon_directory").Output()
	if err != nil {
		t.Fatalf("postconf: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// Log is what Postfix has logged so far.
func (p *Postfix) Log(t testing.TB) string {
	b, err := os.ReadFile(p.log)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	return string(b)
}

func mainCf(dir string, o PostfixOptions) string {
	screen := ""
	if o.Screen != "" {
		screen = fmt.Sprintf(`postscreen_upstream_proxy_protocol = haproxy
postscreen_access_list =
postscreen_cache_map =
postscreen_greet_wait = 5s
postscreen_dnsbl_sites = %s
postscreen_dnsbl_threshold = %d
postscreen_dnsbl_action = enforce
postscreen_dnsbl_min_ttl = 1s
postscreen_dnsbl_max_ttl = 1s
`, o.Screen, o.Threshold)
	}
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = all
myhostname = mx.example.org
mydestination = example.org
mynetworks =
local_recipient_maps =
local_transport = discard
alias_maps =
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_helo_required = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_restrictions = %[2]s
%[3]s`, dir, o.Client, screen)
}

// masterCf lists the services a message needs on its way to nowhere. Those
// that ask the DNS stand in the chroot (y in the fifth column).
func masterCf(p *Postfix, screen bool) string {
	var b strings.Builder
	// An smtpd process remembers what lists said; here each serves one client.
	fmt.Fprintf(&b, "%s inet n - y - - smtpd\n  -o max_use=1\n", p.SMTPD)
	if screen {
		fmt.Fprintf(&b, "%s inet n - y - 1 postscreen\n", p.Screen)
		// What postscreen passes on is accepted without another look.
		b.WriteString("smtpd pass - - y - - smtpd\n  -o smtpd_client_restrictions=\n" +
			"dnsblog unix - - y - 0 dnsblog\ntlsproxy unix - - y - 0 tlsproxy\n")
	}
	b.WriteString(`cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
discard unix - - n - - discard
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`)
	return b.String()
}
