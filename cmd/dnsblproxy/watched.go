package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/watch"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/rbl"
)

// maxWatched is how many addresses one element of a watch's cidr may have:
// each of them is a question to each list.
const maxWatched = 256

// watchable checks one element of a watch's cidr.
func watchable(s string) error {
	r, err := overrides.ParseRange(s)
	if err != nil {
		return err
	}
	if len(ownAddrs(r)) > maxWatched {
		return fmt.Errorf("%q has more than %d addresses, each of them a question to each list; write those that send mail", s, maxWatched)
	}
	return nil
}

// ownAddrs are those of r, up to one more than may be watched.
func ownAddrs(r overrides.Range) []netip.Addr {
	var all []netip.Addr
	for a := r.First; a.IsValid() && a.Compare(r.Last) <= 0 && len(all) <= maxWatched; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// newWatcher makes what watches one's own addresses.
func (d *proxy) newWatcher() *watch.Watcher {
	return watch.New(watch.Options{
		Ask:  d.askList,
		Load: func(s *watch.State) (bool, error) { return d.kept.Load(keptWatch, s) },
		Save: func(s watch.State) error { return d.keep(keptWatch, s) },
		Log:  d.log, Registerer: d.reg, UserAgent: "dnsblproxy/" + readVersion().Version,
	})
}

// keptWatch names the file of what is listed in the state folder.
const keptWatch = "watch"

// askList asks a list about one's own address, the rules aside.
func (d *proxy) askList(ctx context.Context, zone string, a netip.Addr) watch.Answer {
	if !d.examined(ctx, zone) {
		return watch.Answer{}
	}
	for _, e := range d.resolver.ListAnswers(ctx, rbl.AddrSubject(a), zone) {
		switch e.Verdict {
		case resolver.Listed, resolver.Denied:
			return watch.Answer{Known: true, Listed: true, Codes: e.Codes, Text: e.Text}
		case resolver.Unlisted, resolver.Exempt:
			return watch.Answer{Known: true}
		}
	}
	return watch.Answer{}
}

// examined waits for the first tests of a zone's lists: a list that lies is to
// be known before it is believed. It is false when ctx is done first.
func (d *proxy) examined(ctx context.Context, zone string) bool {
	d.mu.Lock()
	z, b := d.cfg.Load().Zone(zone), d.backends[zone]
	d.mu.Unlock()
	if b != nil && b.guarded != nil {
		select {
		case <-b.guarded.Examined():
		case <-ctx.Done():
			return false
		}
	}
	return z == nil || !slices.ContainsFunc(z.Weights, func(m config.Weight) bool { return !d.examined(ctx, m.Zone) })
}

// watches are those of the configuration.
func watches(c *config.Config, lists *rbl.Table) []watch.Watch {
	var all []watch.Watch
	for _, w := range c.Watch {
		out := watch.Watch{Name: w.Name, Every: w.Every, Notify: w.Notify, Webhook: w.Webhook.Reveal()}
		for _, text := range w.CIDR {
			if r, err := overrides.ParseRange(text); err == nil { // config has checked it
				out.Addrs = append(out.Addrs, ownAddrs(r)...)
			}
		}
		for _, z := range c.Zones {
			if !watched(w, z) {
				continue
			}
			removal := ""
			if known := knownList(lists, z); known != nil {
				removal = known.Removal
			}
			out.Zones = append(out.Zones, watch.Zone{Name: z.Name, Removal: removal})
		}
		all = append(all, out)
	}
	return all
}

// watched reports whether w asks z: the zones it names, else each blocklist of
// addresses. Zones that add up others would only repeat them, and of a list
// that is off nobody knows what it has.
func watched(w *config.Watch, z *config.Zone) bool {
	if z.Mode == "off" {
		return false
	}
	if len(w.Zones) > 0 {
		return slices.Contains(w.Zones, z.Name)
	}
	block := z.Kind != "allow" && z.Source != "allow" && z.Source != "combined"
	return block && (slices.Contains(z.Holds, "ip4") || slices.Contains(z.Holds, "ip6"))
}
