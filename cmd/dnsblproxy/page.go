package main

import (
	"net/http"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver"
)

// remembered is how many decisions the page can show: half a megabyte or so.
const remembered = 2000

// decided is told of every decision worth a line.
func (d *proxy) decided(x resolver.Decision) {
	d.journal.Add(admin.Decision{
		Time: x.Time, Zone: x.Zone, Subject: x.Subject, Client: x.Client.String(), Verdict: x.Verdict.String(),
		Observe: x.Observe, Codes: x.Codes, Rule: x.Rule, Source: x.Source, Reason: x.Reason,
	})
}

// page makes the page on the admin address, and has its chart drawn on.
func (d *proxy) page() http.Handler {
	d.work.Go(func() { d.history.Run(d.ctx) })
	return admin.NewPage(admin.PageOptions{
		Overview: d.overview, Lookup: d.lookupTyped, Entries: d.entriesOf, Worth: func() any { return d.figures.Figures(worthSpan) },
		Figures: d.reg, History: d.history, Journal: d.journal,
	})
}

// overview is the state of everything that can fail, and what the page shows
// beside that.
func (d *proxy) overview() admin.Overview {
	o := admin.Overview{
		Version: readVersion().Version, Started: d.started, Reloaded: !d.stale.Load(),
		Lists: []admin.List{}, Sources: []admin.Source{},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range d.cfg.Load().Zones {
		o.Lists = append(o.Lists, d.listNow(z))
	}
	for _, s := range d.rules.Status() {
		o.Sources = append(o.Sources, admin.Source{
			Rule: s.Rule, Action: s.Action.String(), What: s.Source.String(), Enabled: s.Enabled,
			V4: s.V4, V6: s.V6, Domains: s.Domains, LastSuccess: s.LastSuccess, Error: s.LastError,
			InForce:  s.V4+s.V6+s.Live4+s.Live6 > 0 || s.Domains > 0,
			Failures: s.Failures, Next: s.Next, Warnings: s.Warnings,
		})
	}
	for _, u := range d.rules.RuleStatus() {
		o.Rules = append(o.Rules, admin.Rule{
			Name: u.Rule, Action: u.Action.String(), Comment: u.Comment, Zones: u.Zones, Enabled: u.Enabled,
			Expires: untilText(u.Expires), V4: u.V4, V6: u.V6,
		})
	}
	return o
}

// entriesOf lists the first most entries of an allow rule, and counts all.
func (d *proxy) entriesOf(rule string, most int) (entries []admin.Entry, all int) {
	c := d.cfg.Load()
	for e := range d.rules.Exemptions(overrides.Allow) {
		if e.Rule.Name != rule {
			continue
		}
		if all++; len(entries) < most {
			entries = append(entries, admin.Entry{Entry: bare(e.Entry), Source: e.Source.String(), Line: lineOf(c, e), Live: e.Live})
		}
	}
	return entries, all
}

// worthSpan is how far back the page's report goes.
const worthSpan = 7 * 24 * time.Hour
