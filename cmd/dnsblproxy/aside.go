package main

import (
	"context"
	"net/url"
	"sync"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/report"
	"dnsblproxy/resolver/rbl"
)

// startAside starts what the server does beside answering: it counts figures
// for the report. stop ends that, and waits; it is due before close.
func (d *proxy) startAside() (stop func()) {
	ctx, cancel := context.WithCancel(d.ctx)
	var work sync.WaitGroup
	figures := report.Open(report.Options{
		Totals: d.totals, Listing: d.listing, Log: d.log,
		Load: func(h *report.History) (bool, error) { return d.kept.Load(keptReport, h) },
		Save: func(h report.History) error { return d.kept.Save(keptReport, h) },
	})
	d.figures.Store(figures)
	work.Go(func() { figures.Run(ctx) })
	return func() {
		cancel()
		work.Wait()
	}
}

// keptReport names the file of the figures in the state folder.
const keptReport = "report"

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

// found is told of every listing.
func (d *proxy) found(zone, subject string) {
	if f := d.figures.Load(); f != nil {
		f.Listing(zone, subject)
	}
}

func (d *proxy) reportEndpoint(_ context.Context, query url.Values) (any, error) {
	since := query.Get("since")
	if since == "" {
		since = reportSince
	}
	span, err := parseSpan(since)
	if err != nil {
		return nil, admin.BadRequest("since: %v", err)
	}
	f := d.figures.Load()
	if f == nil {
		return nil, admin.BadRequest("nothing is counted")
	}
	return f.Figures(span), nil
}
