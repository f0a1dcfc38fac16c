package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// startNSD serves zones, their records by name, with authority, on port 53,
// because delegations know no other. That needs root.
func startNSD(t testing.TB, ip netip.Addr, zones map[string]string) *Process {
	t.Helper()
	program := needProgram(t, "nsd")
	needRoot(t)
	dir := folder(t)
	var clauses strings.Builder
	var zone string // any of them
	for name, records := range zones {
		zone = name
		file := "zone-" + name // the root's name alone would be the folder
		write(t, dir, file, "$TTL 60\n"+records)
		fmt.Fprintf(&clauses, "zone:\n\tname: %q\n\tzonefile: %q\n", name, file)
	}
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
%[3]s`, dir, ip, clauses.String()))
	p := startProcess(t, nil, unconfined(t, program, dir), "-d", "-c", conf)
	p.ready(t, answers(netip.AddrPortFrom(ip, 53), zone))
	return p
}
