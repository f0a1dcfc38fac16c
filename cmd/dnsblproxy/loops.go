package main

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// loopPatience is how long a question may take around a loop. The way there
// is through one resolver, mostly on this machine.
const loopPatience = 1500 * time.Millisecond

// findLoops asks for a random name below each upstream zone, the way its list
// is asked. What arrives at our own listeners has gone round in a circle: a
// resolver that forwards the zone back to us. It asks for A, as mail servers do.
func (d *proxy) findLoops(c *config.Config) error {
	var zones []*config.Zone
	var names [][]byte
	for _, z := range c.Zones {
		if z.Source != "upstream" || z.Via.Mode == "direct" || z.Mode == "off" {
			continue
		}
		name, err := rbl.AppendName(nil, "loop-"+strings.ToLower(rand.Text())+"."+z.Upstream.Reveal())
		if err != nil {
			continue // too long for a label more, and so for a subject's
		}
		zones, names = append(zones, z), append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	d.search.Lock() // a reload may come while the start still searches
	defer d.search.Unlock()
	arrived := d.resolver.Trap(names)
	ctx, cancel := context.WithTimeout(d.ctx, loopPatience)
	defer cancel()
	var wg sync.WaitGroup
	for i, z := range zones {
		servers := c.Nameservers
		if z.Via.Mode == "servers" {
			servers = z.Via.Servers
		}
		asker := d.pool.Exchanger(servers, upstream.ExchangeOptions{Timeout: loopPatience, Deadline: loopPatience})
		wg.Go(func() { asker.Exchange(ctx, upstream.Question{Name: names[i], Type: uint16(spf.TypeA)}) })
	}
	wg.Wait()
	var problems []config.Problem
	for _, i := range arrived() {
		z := zones[i]
		problems = append(problems, c.Problem(
			"zone "+z.Name+" goes round in a circle: the question that it sends to its resolver comes back to this proxy",
			`set via = ["IP:port"] to a resolver that does not forward the zone here, or via = "direct"`, "zone", z.Name, "via"))
	}
	return config.Join(problems)
}
