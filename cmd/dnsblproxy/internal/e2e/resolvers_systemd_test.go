package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
)

// startResolved is the recipe for systemd-resolved before version 258 in
// front of the proxy. It listens where the test says instead of 127.0.0.53,
// and finds neither a bus nor a network manager in its /run.
func startResolved(t testing.TB, zone string, proxy netip.AddrPort) netip.AddrPort {
	t.Helper()
	program := needUnpacked(t, "usr/lib/systemd/systemd-resolved", "lib/systemd/systemd-resolved")
	var env []string
	if library := unpacked(t, "usr/lib/*/systemd/libsystemd-shared-*.so"); library != "" {
		env = append(env, "LD_LIBRARY_PATH="+filepath.Dir(library))
	}
	recipe := readRecipe(t, "systemd-resolved", zone, proxy)
	dir := folder(t)
	addr := netip.AddrPortFrom(freeIP(t), 53000)
	write(t, dir, "systemd/resolved.conf.d/dnsbl.conf", "[Resolve]\n"+recipe.with(t, "DNS=")+"\n"+recipe.with(t, "Domains=")+"\n")
	write(t, dir, "systemd/resolved.conf.d/test.conf", fmt.Sprintf(
		"[Resolve]\nDNSStubListener=no\nDNSStubListenerExtra=%s\nLLMNR=no\nMulticastDNS=no\nFallbackDNS=\n", addr))
	write(t, dir, "run/systemd/.keep", "")
	mounts := withUser(t, dir, "systemd-resolve")
	mounts["/etc/systemd"] = filepath.Join(dir, "systemd")
	mounts["/run"] = filepath.Join(dir, "run")
	p := startProcess(t, env, withMounts(t, mounts, program)...)
	dieWithTest(t, p.cmd.Process.Pid)
	p.ready(t, answers(addr, "localhost"))
	return addr
}
