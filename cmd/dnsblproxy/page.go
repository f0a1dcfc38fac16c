package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver"
)

// memory is what the page remembers, and forgets at a restart.
type memory struct {
	started time.Time
	answers *prometheus.Registry // the resolver's metrics, for the page's figures
	journal *admin.Journal
	history *admin.History
}

// remembered is how many decisions the page can show: half a megabyte or so.
const remembered = 2000

// newMemory makes an empty memory. Its registry is for the resolver and has to
// be registered itself.
func (d *proxy) newMemory() memory {
	m := memory{started: time.Now(), answers: prometheus.NewRegistry(), journal: admin.NewJournal(remembered)}
	m.history = admin.NewHistory(m.answers, d.log)
	return m
}

// decided is told of every decision worth a line.
func (d *proxy) decided(x resolver.Decision) {
	d.memory.journal.Add(admin.Decision{
		Time: x.Time, Zone: x.Zone, Subject: x.Subject, Client: x.Client.String(), Verdict: x.Verdict.String(),
		Observe: x.Observe, Codes: x.Codes, Rule: x.Rule, Source: x.Source, Reason: x.Reason,
	})
}

// page makes the page on the admin address, and has its chart drawn on.
func (d *proxy) page() http.Handler {
	d.work.Go(func() { d.memory.history.Run(d.ctx) })
	return admin.NewPage(admin.PageOptions{
		Overview: d.overview, Lookup: d.lookupForPage, Entries: d.entriesOf, Worth: d.worth,
		Figures: d.reg, History: d.memory.history, Journal: d.memory.journal,
	})
}

// overview is what the page shows of lists and rules.
func (d *proxy) overview() admin.Overview {
	o := admin.Overview{
		Version: readVersion().Version, Started: d.memory.started, Reloaded: !d.stale.Load(),
		Rules: d.rulesForPage(),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range d.cfg.Load().Zones {
		now := d.listNow(z)
		l := admin.List{
			Zone: z.Name, Source: z.Source, Mode: z.Mode, Kind: z.Kind,
			State: now.state, Reason: now.reason, Since: now.since, Budget: (*admin.Budget)(now.budget),
		}
		if z.Source == "upstream" {
			if known, ok := d.lists.Find(z.Upstream.Reveal()); ok {
				l.Name, l.Docs = known.Name, known.Docs
			}
		}
		o.Lists = append(o.Lists, l)
	}
	return o
}

// rulesForPage puts the sources to their rules.
func (d *proxy) rulesForPage() []admin.Rule {
	type key struct {
		action overrides.Action
		name   string
	}
	last := map[key]string{}
	c := d.cfg.Load()
	for _, u := range c.Allow {
		last[key{overrides.Allow, u.Name}] = untilText(u.Expires)
	}
	for _, u := range c.Deny {
		last[key{overrides.Deny, u.Name}] = untilText(u.Expires)
	}
	sources := map[key][]admin.Source{}
	for _, s := range d.rules.Status() {
		k := key{s.Action, s.Rule}
		sources[k] = append(sources[k], admin.Source{
			What: s.Source.String(), V4: s.V4, V6: s.V6, Domains: s.Domains, Live: s.Live4+s.Live6 > 0, LastSuccess: s.LastSuccess,
			Next: s.Next, Error: s.LastError, Failures: s.Failures, Warnings: s.Warnings,
		})
	}
	var all []admin.Rule
	for _, u := range d.rules.RuleStatus() {
		k := key{u.Action, u.Rule}
		all = append(all, admin.Rule{
			Name: u.Rule, Action: u.Action.String(), Comment: u.Comment, Zones: u.Zones, Enabled: u.Enabled,
			Expires: last[k], V4: u.V4, V6: u.V6, Sources: sources[k],
		})
	}
	return all
}

// lookupForPage decides like /api/v1/lookup.
func (d *proxy) lookupForPage(ctx context.Context, subject string) ([]admin.Answer, error) {
	s, err := typedSubject(subject, d.cfg.Load().Zones)
	if err != nil {
		return nil, admin.BadRequest("%v", err)
	}
	var all []admin.Answer
	for _, a := range d.lookup(ctx, s) {
		answer := admin.Answer{
			Zone: a.Zone, Verdict: a.Verdict, Observe: a.Observe, Codes: a.Codes, Text: a.Text, Rule: a.Rule,
			Source: a.Source, Reason: a.Reason, Took: time.Duration(a.TookMS * float64(time.Millisecond)),
		}
		for _, step := range a.Steps {
			answer.Steps = append(answer.Steps, admin.Step(step))
		}
		all = append(all, answer)
	}
	return all, nil
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

// worth is the report's figures.
func (d *proxy) worth() []admin.Worth {
	f := d.figures.Load()
	if f == nil {
		return nil
	}
	var all []admin.Worth
	for _, x := range f.Figures(worthSpan) {
		all = append(all, admin.Worth(x))
	}
	return all
}
