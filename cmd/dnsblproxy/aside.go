package main

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"sync"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/report"
	"dnsblproxy/cmd/dnsblproxy/internal/tap"
	"dnsblproxy/resolver/rbl"
)

// startAside starts what the server does beside answering: figures for the
// report, the watch on one's own addresses, and the query log. stop ends that,
// and waits; it is due before close.
func (d *proxy) startAside() (stop func()) {
	ctx, cancel := context.WithCancel(d.ctx)
	var work sync.WaitGroup
	work.Go(func() { d.figures.Run(ctx) })
	d.watcher.Set(watches(d.cfg.Load(), d.lists))
	work.Go(func() { d.watcher.Run(ctx) })
	if d.tap != nil {
		work.Go(func() { d.tap.Run(ctx) })
	}
	return func() {
		cancel()
		work.Wait()
	}
}

// newTap makes the query log; nil if it is off, which its metric says by 0.
func (d *proxy) newTap(c *config.Config) *tap.Writer {
	host, err := os.Hostname()
	if err != nil {
		host = "" // the log says which server wrote it, if that is known
	}
	w := tap.New(tap.Options{
		Socket: c.Dnstap.Socket, File: c.Dnstap.File,
		Identity: host, Version: "dnsblproxy " + readVersion().Version,
		Log: d.log, Registerer: d.reg,
	})
	if c.Dnstap == (config.Dnstap{}) {
		return nil
	}
	return w
}

// totals are the resolver's, as the report counts them.
func (d *proxy) totals() []report.Total {
	var all []report.Total
	for _, t := range d.resolver.Totals() {
		all = append(all, report.Total{Zone: t.Zone, Counts: report.Counts{
			Questions: t.Questions, Listings: t.Listings, Exempted: t.Exempted, Errors: t.Errors,
		}})
	}
	return all
}

// listing names the lists that are known to have a subject.
func (d *proxy) listing(subject string) []string {
	s, err := rbl.ParseSubject(subject)
	if err != nil {
		return nil // an odd name, which no other list was asked about in this form
	}
	return d.resolver.Listing(s)
}

func (d *proxy) reportEndpoint(_ context.Context, query url.Values) (any, error) {
	span, err := parseSpan(cmp.Or(query.Get("since"), reportSince))
	if err != nil {
		return nil, admin.BadRequest("since: %v", err)
	}
	return d.figures.Figures(span), nil
}
