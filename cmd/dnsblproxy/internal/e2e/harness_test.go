package e2e

import (
	"net/netip"
	"slices"
	"testing"
)

// TestHarness_withoutProxy shows that the other tests can fail: Postfix with a
// resolver that leads straight to rbldnsd rejects listed clients and no others.
func TestHarness_withoutProxy(t *testing.T) {
	t.Parallel()
	sum := loadIpsum(t)
	const zone = "bl.example"
	list := startIpsum(t, sum, zone)
	resolver := unboundFront(t, 53, zone, list.Addr)
	mail := startPostfix(t, PostfixOptions{
		Nameserver: resolver.Addr(),
		Client:     "reject_rbl_client " + zone,
		Screen:     zone + "=127.0.0.10*1 " + zone + "=127.0.0.2*3",
		Threshold:  3,
	})
	listed := sum.with(t, codeSpammer, 0)
	policy := sum.with(t, codePolicy, 0)

	rejected(t, listed, mail.deliver(t, listed), "blocked using "+zone, "SPAMMER lists it", "ip="+listed)
	rejected(t, policy, mail.deliver(t, policy), "blocked using "+zone, "POLICY lists it", "ip="+policy)
	accepted(t, "192.0.2.1", mail.deliver(t, "192.0.2.1"))
	accepted(t, "2001:db8:600d::1", mail.deliver(t, "2001:db8:600d::1"))
	rejected(t, "2001:db8:bad::1", mail.deliver(t, "2001:db8:bad::1"), "blocked using "+zone, "SPAMMER")

	rejected(t, listed, mail.deliverScreened(t, listed), "blocked using "+zone)
	accepted(t, policy, mail.deliverScreened(t, policy))
	if slices.Contains(sum.addrs, netip.MustParseAddr("192.0.2.1")) {
		t.Error("the address that stands for a good sender is on the list")
	}
}
