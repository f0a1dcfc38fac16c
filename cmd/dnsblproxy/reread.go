package main

import (
	"net/netip"
	"slices"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
)

// reread reads the file of before, which is in force, again: that and no other,
// should it be gone. A rule or data file that was there then and is gone now is no
// problem: its last good set stays, and the log says so. own are the listeners that
// are open, and stay so whatever the file says now.
func reread(lists *rbl.Table, before *config.Config, own []netip.AddrPort) (*config.Config, error) {
	o := loadOptions(lists)
	o.Inherited, o.ReadFile = own, config.ReadFile // the server waits for nobody
	known := map[string]bool{}
	for _, u := range slices.Concat(before.Allow, before.Deny) {
		known[u.File] = true
	}
	for _, z := range before.Zones {
		for _, f := range z.Files {
			for _, path := range f.Paths {
				known[path] = true
			}
		}
	}
	o.Readable = func(path string) error {
		if known[path] {
			return nil
		}
		return config.Readable(path)
	}
	return config.Load(before.Path, o)
}
