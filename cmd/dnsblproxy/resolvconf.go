package main

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// followEvery is the time between two looks at resolv.conf, in which a machine
// finds its resolvers when it has a network at last, or another one.
const followEvery = 5 * time.Second

// follower remembers the looks at resolv.conf.
type follower struct {
	seen  []netip.AddrPort // other servers than those in force, at the last look
	tried []netip.AddrPort // put in force, or refused
}

// follow looks at resolv.conf, and puts in force what it names once two looks in a
// row have found the same. What may not be asked is refused once.
func (d *proxy) follow(f *follower, o config.Options) {
	inForce := d.cfg.Load()
	next, err := inForce.Follow(o)
	if next == inForce {
		*f = follower{}
		return
	}
	settled := slices.Equal(next.Nameservers, f.seen)
	f.seen = next.Nameservers
	if !settled || slices.Equal(next.Nameservers, f.tried) {
		return
	}
	f.tried = next.Nameservers
	if err == nil {
		err = d.apply(next)
	}
	servers := slog.Any("servers", next.Nameservers)
	if err != nil {
		d.log.Error("resolv.conf names other servers; those of before are asked on", servers, slog.Any("error", err))
		return
	}
	d.log.Info("resolv.conf names other servers, which are asked from now on", servers)
}
