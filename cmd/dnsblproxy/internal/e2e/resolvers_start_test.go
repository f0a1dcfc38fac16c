package e2e

import (
	"fmt"
	"net/netip"
	"testing"
)

// startDnsmasq is the recipe for dnsmasq in front of the proxy, with its
// protection against DNS rebinding on, as home routers have it.
func startDnsmasq(t testing.TB, zone string, proxy netip.AddrPort) netip.AddrPort {
	t.Helper()
	program := needProgram(t, "dnsmasq")
	recipe := readRecipe(t, "dnsmasq", zone, proxy)
	addr := netip.AddrPortFrom(freeIP(t), 5400)
	p := startProcess(t, nil, unconfined(t, program, folder(t)),
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=", "--group=", "--pid-file=",
		"--log-facility=-", "--bind-interfaces", "--except-interface=none",
		fmt.Sprintf("--listen-address=%s", addr.Addr()), fmt.Sprintf("--port=%d", addr.Port()),
		"--"+recipe.with(t, "stop-dns-rebind"), "--"+recipe.with(t, "rebind-domain-ok="),
		"--"+recipe.with(t, "server="))
	p.ready(t, answers(addr, "localhost"))
	return addr
}

// startBind is the recipe for BIND in front of the proxy. BIND listens at
// addresses of interfaces only, so this one is on 127.0.0.1 and has a port of
// its own.
func startBind(t testing.TB, zone string, proxy netip.AddrPort) netip.AddrPort {
	t.Helper()
	program := needProgram(t, "named")
	recipe := readRecipe(t, "BIND", zone, proxy)
	dir := folder(t)
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), freePort(t))
	// Nobody answers for the root there, so that all that is asked stays here.
	write(t, dir, "root.hint", ". 3600 NS ns.root.\nns.root. 3600 A 127.0.0.1\n")
	conf := write(t, dir, "named.conf", fmt.Sprintf(`options {
	directory "%[1]s";
	listen-on port %[2]d { %[3]s; };
	listen-on-v6 { none; };
	recursion yes;
	allow-query { 127.0.0.0/8; };
	dnssec-validation auto;
	%[4]s
	pid-file none;
	session-keyfile "%[1]s/session.key";
	managed-keys-directory "%[1]s";
};
controls { };
zone "." { type hint; file "root.hint"; };
%[5]s
`, dir, addr.Port(), addr.Addr(), recipe.with(t, "validate-except "), recipe.with(t, "zone ")))
	p := startProcess(t, nil, unconfined(t, program, dir), "-g", "-n", "1", "-c", conf)
	p.ready(t, answers(addr, "localhost"))
	return addr
}
