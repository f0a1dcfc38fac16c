package e2e

import (
	"fmt"
	"net/netip"
	"testing"
)

// startNSD serves one zone with authority, on port 53, because delegations
// know no other. That needs root.
func startNSD(t testing.TB, ip netip.Addr, zone, records string) *Process {
	t.Helper()
	program := needProgram(t, "nsd")
	needRoot(t)
	dir := folder(t)
	write(t, dir, "zone", "$TTL 60\n"+records)
	conf := write(t, dir, "nsd.conf", fmt.Sprintf(`server:
	ip-address: %[2]s@53
	port: 53
	username: ""
	zonesdir: "%[1]s"
	zonelistfile: "%[1]s/zone.list"
	xfrdfile: "%[1]s/xfrd.state"
	xfrdir: "%[1]s"
	database: ""
	pidfile: ""
	verbosity: 1
remote-control:
	control-enable: no
zone:
	name: "%[3]s"
	zonefile: zone
`, dir, ip, zone))
	p := startProcess(t, nil, unconfined(t, program, dir), "-d", "-c", conf)
	p.ready(t, answers(netip.AddrPortFrom(ip, 53), zone))
	return p
}
