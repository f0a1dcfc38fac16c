package e2e

import (
	"fmt"
	"net/netip"
	"testing"
)

// startRecursor is the recipe for PowerDNS Recursor in front of the proxy,
// with validation on: the zone has no signatures, and its trust anchor is
// negative.
func startRecursor(t testing.TB, zone string, proxy netip.AddrPort) netip.AddrPort {
	t.Helper()
	program := needProgram(t, "pdns_recursor")
	recipe := readRecipe(t, "PowerDNS Recursor", zone, proxy)
	dir := folder(t)
	addr := netip.AddrPortFrom(freeIP(t), 53000)
	anchors := write(t, dir, "anchors.lua", recipe.with(t, "addNTA(")+"\n")
	write(t, dir, "recursor.conf", fmt.Sprintf(`config-dir=%[1]s
socket-dir=%[1]s
local-address=%[2]s
local-port=%[3]d
allow-from=127.0.0.0/8
threads=1
dnssec=validate
lua-config-file=%[4]s
security-poll-suffix=
hint-file=no
network-timeout=20000
%[5]s
`, dir, addr.Addr(), addr.Port(), anchors, recipe.with(t, "forward-zones-recurse=")))
	p := startProcess(t, nil, unconfined(t, program, dir), "--config-dir="+dir, "--daemon=no", "--write-pid=no")
	p.ready(t, answers(addr, "localhost"))
	return addr
}
