package e2e

import (
	"fmt"
	"net/netip"
	"testing"
)

// startUnbound runs a resolver on port of a private address with the given
// lines of unbound.conf; those of its server clause come first.
func startUnbound(t testing.TB, port uint16, serverLines, otherClauses string) netip.AddrPort {
	t.Helper()
	program := needProgram(t, "unbound")
	addr := netip.AddrPortFrom(freeIP(t), port)
	dir := folder(t)
	conf := write(t, dir, "unbound.conf", fmt.Sprintf(`server:
	directory: "%[1]s"
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	verbosity: 1
	num-threads: 1
	interface: %[2]s
	port: %[3]d
	access-control: 127.0.0.0/8 allow
	do-ip6: no
%[4]s
remote-control:
	control-enable: no
%[5]s`, dir, addr.Addr(), port, serverLines, otherClauses))
	p := startProcess(t, nil, unconfined(t, program, dir), "-d", "-c", conf)
	p.ready(t, answers(addr, "localhost"))
	return addr
}

// unboundFront is the recipe for a resolver that hands one zone to the proxy.
func unboundFront(t testing.TB, port uint16, zone string, proxy netip.AddrPort) netip.AddrPort {
	t.Helper()
	return startUnbound(t, port, "", readRecipe(t, "unbound", zone, proxy).with(t, "server:\n"))
}

// unboundBehind is a recursive resolver that finds one list by itself: the
// list's name server stands as stub, in the place of a delegation.
func unboundBehind(t testing.TB, zone string, list netip.AddrPort) netip.AddrPort {
	t.Helper()
	return startUnbound(t, 5400, fmt.Sprintf("\tdo-not-query-localhost: no\n\tdomain-insecure: %q\n", zone),
		fmt.Sprintf("stub-zone:\n\tname: %q\n\tstub-addr: %s@%d\n", zone, list.Addr(), list.Port()))
}
