package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

const (
	leastTTL = time.Minute // a delegation is kept so long at least,
	mostTTL  = 24 * time.Hour
	maxCuts  = 1024 // zones above lists whose servers are kept
	maxSteps = 16   // delegations followed from the root to a list
	maxHosts = 8    // name servers of a zone whose addresses are looked up
	maxAddrs = 64   // addresses of them all; a host may have thousands

	// moreHosts is how long these may take once a server is known: a host that
	// does not exist any more must not hold up all questions to the list.
	moreHosts = 500 * time.Millisecond
)

// FinderOptions say where a Finder begins and whom it asks.
type FinderOptions struct {
	// Roots are the root servers; none: those of the Internet.
	Roots []netip.AddrPort

	// Port is that of all other name servers; 0 is 53.
	Port uint16

	// Resolver looks up the addresses of name servers for which no parent
	// vouches. It is never asked about a list's own zone or names below it.
	// Nil: such name servers are left out.
	Resolver interface {
		Exchange(ctx context.Context, q Question) Outcome
	}

	// Own tells addresses that must not be asked: our own listeners. May be
	// nil.
	Own func(netip.AddrPort) bool

	// Exchange says how name servers are asked.
	Exchange ExchangeOptions
}

// Finder finds the name servers of zones, from the root servers down, and
// keeps what it learns of the zones on the way. Its goroutines are the pool's.
type Finder struct {
	pool *Pool
	opts FinderOptions
	root *cut

	mu   sync.Mutex
	cuts map[string]*cut // by zone in wire form, without the root
}

// cut is a zone with the servers that have authority over it. It is immutable.
type cut struct {
	zone    wire.Name
	servers *Exchanger
	found   time.Time
	expires time.Time
}

// ends reports whether less than a tenth of the cut's time is left, or none: it
// is time to search anew.
func (c *cut) ends(now time.Time) bool {
	return c.expires.Sub(now) < c.expires.Sub(c.found)/10
}

// Finder returns a finder that knows the roots only.
func (p *Pool) Finder(opts FinderOptions) *Finder {
	if opts.Port == 0 {
		opts.Port = 53
	}
	if len(opts.Roots) == 0 {
		opts.Roots = rootHints()
	}
	f := &Finder{pool: p, opts: opts, cuts: make(map[string]*cut)}
	f.root = f.newCut(wire.Name{0}, opts.Roots, mostTTL)
	return f
}

func (f *Finder) newCut(zone wire.Name, servers []netip.AddrPort, ttl time.Duration) *cut {
	servers = append([]netip.AddrPort(nil), servers...)
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	e := f.pool.Exchanger(servers, f.opts.Exchange)
	e.zone = zone
	now := time.Now()
	return &cut{zone: zone, servers: e, found: now, expires: now.Add(min(max(ttl, leastTTL), mostTTL))}
}

// find asks from the nearest known zone above zone downwards. The result may
// be a zone above, when zone is a part of it. Servers are asked for one label
// more than their own zone has, and for one more when that leads nowhere
// (RFC 9156): the rest is not for them, and may be a key.
func (f *Finder) find(ctx context.Context, zone wire.Name) (*cut, error) {
	c := f.above(zone)
	name := towards(zone, c.zone)
	for range maxSteps {
		o := c.servers.sweep(ctx, Question{Name: name, Type: wire.TypeNS})
		var next *cut
		err := o.Err
		if err != nil {
			err = fmt.Errorf("asking for the list's name servers: %w", err)
		} else if o.delegation != nil {
			next, err = f.descend(ctx, *o.delegation, zone)
			if o.Response.Authoritative {
				err = nil // without addresses, for they are c's
			}
		}
		whole := len(name) == len(zone)
		// What the servers of a domain say of a name without records may be wrong.
		odd := !whole && c.zone.Labels() > 1
		switch {
		case err != nil && (!odd || errors.Is(o.Err, ErrTimeout) || errors.Is(o.Err, ErrUnreachable)):
			f.forget(c)
			return nil, err
		case next != nil && len(next.zone) == len(zone):
			f.acquaint(ctx, next)
			return next, nil
		case next != nil:
			f.keep(next)
			c, name = next, next.zone
		case o.Response.Rcode == wire.RcodeNXDomain && !odd:
			return nil, fmt.Errorf("%w: zone does not exist", ErrUnreachable)
		case whole:
			return c, nil
		}
		name = towards(zone, name)
	}
	return nil, fmt.Errorf("%w: too many delegations", ErrUnreachable)
}

// towards returns the name one label below above on the way to zone, which is
// under it.
func towards(zone, above wire.Name) wire.Name {
	for len(zone.Parent()) > len(above) {
		zone = zone.Parent()
	}
	return zone
}

// acquaint asks a zone's servers for its SOA, all of them if need be, so that
// one that answers is known, and preferred, before users' questions come.
func (f *Finder) acquaint(ctx context.Context, c *cut) {
	c.servers.sweep(ctx, Question{Name: c.zone, Type: wire.TypeSOA})
}

// descend makes a cut of a delegation, with the addresses of its servers. list
// is the zone that must not be asked of a resolver.
func (f *Finder) descend(ctx context.Context, d wire.Delegation, list wire.Name) (*cut, error) {
	var servers []netip.AddrPort
	var missing []wire.Name
	for _, h := range d.Hosts {
		for _, a := range h.Addrs {
			servers = f.admit(servers, a)
		}
		if len(h.Addrs) == 0 && !h.Name.Under(list) && len(missing) < maxHosts {
			missing = append(missing, h.Name)
		}
	}
	ttl := d.TTL
	if len(missing) > 0 && f.opts.Resolver != nil {
		found, least := f.lookUp(ctx, missing, len(servers) > 0)
		for _, a := range found {
			servers = f.admit(servers, a)
		}
		ttl = min(ttl, least)
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%w: no name server of the list has a known address", ErrUnreachable)
	}
	return f.newCut(d.Zone, servers, time.Duration(ttl)*time.Second), nil
}

// admit appends a's server unless it cannot be one, is ourselves, or there are
// enough.
func (f *Finder) admit(servers []netip.AddrPort, a netip.Addr) []netip.AddrPort {
	s := netip.AddrPortFrom(a.Unmap(), f.opts.Port)
	if len(servers) == maxAddrs || a.IsUnspecified() || a.IsMulticast() || f.opts.Own != nil && f.opts.Own(s) {
		return servers
	}
	return append(servers, s)
}

// lookUp resolves hosts in both address families at once, and returns the
// least TTL of the answers in seconds. It waits no longer than moreHosts for
// the rest when some server is known, by the caller or found.
func (f *Finder) lookUp(ctx context.Context, hosts []wire.Name, known bool) (found []netip.Addr, ttl uint32) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hurry := sync.OnceFunc(func() { time.AfterFunc(moreHosts, cancel) })
	if known {
		hurry()
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ttl = 1<<31 - 1
	for _, h := range hosts {
		for _, typ := range []uint16{wire.TypeA, wire.TypeAAAA} {
			wg.Go(func() {
				o := f.opts.Resolver.Exchange(ctx, Question{Name: h, Type: typ})
				mu.Lock()
				defer mu.Unlock()
				for _, r := range o.Response.Records {
					if a, ok := netip.AddrFromSlice(r); ok && o.Err == nil {
						found, ttl = append(found, a), min(ttl, o.Response.TTL)
						hurry()
					}
				}
			})
		}
	}
	wg.Wait()
	return found, ttl
}

// above returns the nearest known zone strictly above zone.
func (f *Finder) above(zone wire.Name) *cut {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for n := zone.Parent(); len(n) > 1; n = n.Parent() {
		if c := f.cuts[string(n)]; c != nil && !c.ends(now) {
			return c
		}
	}
	return f.root
}

func (f *Finder) keep(c *cut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cuts) >= maxCuts {
		clear(f.cuts)
	}
	f.cuts[string(c.zone)] = c
}

// forget drops a zone whose servers were of no use; the next search begins
// above it.
func (f *Finder) forget(c *cut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cuts[string(c.zone)] == c {
		delete(f.cuts, string(c.zone))
	}
}

// rootHints returns the addresses of the 13 root servers, as published by
// IANA in named.root.
func rootHints() (hints []netip.AddrPort) {
	for _, a := range []string{
		"198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10",
		"192.5.5.241", "192.112.36.4", "198.97.190.53", "192.36.148.17", "192.58.128.30",
		"193.0.14.129", "199.7.83.42", "202.12.27.33",
		"2001:503:ba3e::2:30", "2801:1b8:10::b", "2001:500:2::c", "2001:500:2d::d", "2001:500:a8::e",
		"2001:500:2f::f", "2001:500:12::d0d", "2001:500:1::53", "2001:7fe::53", "2001:503:c27::2:30",
		"2001:7fd::1", "2001:500:9f::42", "2001:dc3::35",
	} {
		hints = append(hints, netip.AddrPortFrom(netip.MustParseAddr(a), 53))
	}
	return hints
}
