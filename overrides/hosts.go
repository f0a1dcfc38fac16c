package overrides

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"dnsblproxy/overrides/spf"
)

// noResolver stands for the one that the engine was opened without.
type noResolver struct{}

// Lookup always fails.
func (noResolver) Lookup(context.Context, string, spf.Type) (spf.Answer, error) {
	return spf.Answer{}, errors.New("there is no resolver to ask")
}

// maxMX bounds the MX hosts of one domain. RFC 7208 permits ten inside SPF;
// a domain named by hand may have some more.
const maxMX = 50

// fetchHosts loads the addresses of a host, or of a domain's MX hosts: both families
// of every host. A name without addresses is an answer that takes effect at once, and
// loudly. If a host cannot be asked the addresses of that family known before stay
// beside those of the others.
func fetchHosts(ctx context.Context, r Resolver, name string, mx bool, have *content) result {
	c := collecting{resolver: r, ttl: math.MaxInt64, lost: make(map[bool]bool)}
	hosts := []string{name}
	if mx {
		var err error
		if hosts, err = c.exchangers(ctx, name); err != nil {
			return result{err: err}
		}
	}
	for _, host := range hosts {
		c.addresses(ctx, host)
	}
	switch {
	case c.err != nil && len(c.ranges) == 0:
		return result{err: c.err}
	case c.err != nil:
		sure := contentOfRanges(c.ranges, nil)
		kept := slices.DeleteFunc(have.ranges(), func(r Range) bool { return !c.lost[r.First.Is6()] })
		return result{content: contentOfRanges(append(kept, c.ranges...), nil), sure: sure, err: c.err}
	case len(c.ranges) == 0:
		return result{drop: true, lasting: true, err: fmt.Errorf("%q has no address", name), ttl: c.ttl}
	}
	return result{content: contentOfRanges(c.ranges, nil), ttl: c.ttl}
}

// collecting gathers the addresses of several hosts and the least TTL.
type collecting struct {
	resolver Resolver
	ranges   []Range
	ttl      time.Duration
	err      error
	lost     map[bool]bool // by whether it is IPv6: a host could not be asked for it
}

func (c *collecting) exchangers(ctx context.Context, domain string) ([]string, error) {
	a, err := c.resolver.Lookup(ctx, domain, spf.TypeMX)
	if err != nil {
		return nil, fmt.Errorf("asking MX %q: %w", domain, err)
	}
	c.ttl = min(c.ttl, a.TTL)
	var hosts []string
	for _, h := range a.Hosts {
		// A null MX, RFC 7505, has the root as its host.
		if h = strings.ToLower(strings.TrimSuffix(h, ".")); h != "" && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	if len(hosts) > maxMX {
		return nil, fmt.Errorf("%q has %d MX hosts, more than %d", domain, len(hosts), maxMX)
	}
	return hosts, nil
}

func (c *collecting) addresses(ctx context.Context, host string) {
	for _, t := range []spf.Type{spf.TypeA, spf.TypeAAAA} {
		a, err := c.resolver.Lookup(ctx, host, t)
		if err != nil {
			c.err = errors.Join(c.err, fmt.Errorf("asking %s %q: %w", t, host, err))
			c.lost[t == spf.TypeAAAA] = true
			continue
		}
		c.ttl = min(c.ttl, a.TTL)
		for _, ip := range a.Addrs {
			if ip = ip.Unmap().WithZone(""); ip.IsValid() {
				c.ranges = append(c.ranges, Range{ip, ip})
			}
		}
	}
}

// ranges returns the fixed ranges of c, which may be nil.
func (c *content) ranges() []Range { return c.rangesOf(false) }

func (c *content) rangesOf(live bool) []Range {
	if c == nil {
		return nil
	}
	var out []Range
	for _, y := range c.layers {
		if y.live != live {
			continue
		}
		for _, s := range y.v4 {
			out = append(out, Range{s.lo.addr(), s.hi.addr()})
		}
		for _, s := range y.v6 {
			out = append(out, Range{s.lo.addr(), s.hi.addr()})
		}
	}
	return out
}

// withoutIncludes returns a resolver to which the domains publish a record
// that matches nothing. An include of such a domain then never matches, and
// everything else in the record counts as before, also for addresses that the
// domain left out would have passed too.
func withoutIncludes(r Resolver, domains []string) Resolver {
	if len(domains) == 0 {
		return r
	}
	return leaveOut{r, domains}
}

type leaveOut struct {
	Resolver
	domains []string
}

// Lookup answers itself for the TXT records of the domains left out.
func (l leaveOut) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	if t == spf.TypeTXT && slices.Contains(l.domains, name) {
		return spf.Answer{Strings: []string{"v=spf1 -all"}, TTL: maxTTL}, nil
	}
	return l.Resolver.Lookup(ctx, name, t)
}
