package spf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	blitiri "blitiri.com.ar/go/spf"
)

// stdDNS shows a fakeDNS as the resolver of the second implementation.
type stdDNS struct{ *fakeDNS }

func (d stdDNS) ask(name string, t Type) (Answer, error) {
	ans, err := d.Lookup(context.Background(), queryName(name), t)
	switch {
	case err != nil:
		return ans, &net.DNSError{Err: err.Error(), IsTemporary: true, IsTimeout: true}
	case ans.NXDOMAIN:
		return ans, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return ans, nil
}

func (d stdDNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	ans, err := d.ask(name, TypeTXT)
	return ans.Strings, err
}

func (d stdDNS) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	ans, err := d.ask(name, TypeMX)
	var out []*net.MX
	for _, h := range ans.Hosts {
		out = append(out, &net.MX{Host: h})
	}
	return out, err
}

func (d stdDNS) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	four, err4 := d.ask(host, TypeA)
	six, err6 := d.ask(host, TypeAAAA)
	var out []net.IPAddr
	for _, a := range append(append([]netip.Addr{}, four.Addrs...), six.Addrs...) {
		out = append(out, net.IPAddr{IP: a.AsSlice()})
	}
	return out, errors.Join(err4, err6)
}

func (d stdDNS) LookupAddr(_ context.Context, addr string) ([]string, error) {
	ans, err := d.ask(arpa(netip.MustParseAddr(addr)), TypePTR)
	return ans.Hosts, err
}

// TestSecondOpinion compares CheckHost with blitiri.com.ar/go/spf where the two
// are meant to agree. That implementation is known to differ, so the worlds
// here are plain, in that it
//
//   - asks A and AAAA together and calls a host void, or failing, only if both
//     are;
//   - does not count what MX hosts and PTR names lack as void;
//   - evaluates terms before it has seen the whole record, so that a match
//     comes before a syntax error;
//   - checks neither the character set nor the top-level domain of a name.
func TestSecondOpinion(t *testing.T) {
	compared := map[Result]int{}
	for seed := range uint64(300) {
		w := newWorld(seed, true)
		m := compile(t, w.dns, "d0.test")
		for _, a := range w.probes(m, 50) {
			if a.Is4In6() {
				continue
			}
			got := CheckHost(context.Background(), w.dns, Query{Addr: a, Domain: "d0.test"})
			want, err := blitiri.CheckHostWithSender(net.IP(a.AsSlice()), "d0.test", "postmaster@d0.test",
				blitiri.WithResolver(stdDNS{w.dns}))
			compared[got.Result]++
			if got.Result.String() != string(want) {
				t.Fatalf("seed %d: CheckHost(%v) = %v (%v, %v), blitiri = %v (%v)\n%s",
					seed, a, got.Result, got.Path, got.Why, want, err, w.describe())
			}
		}
	}
	for _, r := range []Result{Neutral, Pass, Fail, SoftFail, PermError} {
		if compared[r] < 50 {
			t.Errorf("only %d comparisons with the result %v", compared[r], r)
		}
	}
}
