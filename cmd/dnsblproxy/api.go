package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// api is what the running server tells: /api/v1/NAME.
func (d *proxy) api() map[string]admin.Endpoint {
	return map[string]admin.Endpoint{
		"zones":  func(context.Context, url.Values) (any, error) { return d.zonesNow(), nil },
		"lookup": d.lookupEndpoint,
		"report": d.reportEndpoint,
		"exemptions": func(context.Context, url.Values) (any, error) {
			return exemptionsIn(d.cfg.Load(), d.rules), nil
		},
	}
}

// lookupAnswer is one zone's decision, as /api/v1/lookup and "lookup --json"
// show it.
type lookupAnswer struct {
	Zone    string          `json:"zone"`
	Verdict string          `json:"verdict"`
	Codes   []string        `json:"codes"`
	Text    string          `json:"text"`
	Rule    string          `json:"rule"`
	Source  string          `json:"source"`
	Reason  string          `json:"reason"`
	TookMS  float64         `json:"took_ms"`
	Observe bool            `json:"observe,omitempty"` // decided so, answered unlisted
	Steps   []resolver.Step `json:"steps"`
}

// lookupPatience bounds one look-up: the deadline of a question and of the
// one for its text.
const lookupPatience = 15 * time.Second

func (d *proxy) lookupEndpoint(ctx context.Context, query url.Values) (any, error) {
	q := query.Get("q")
	if q == "" {
		return nil, admin.BadRequest("q is missing; write ?q=192.0.2.1")
	}
	s, err := typedSubject(q, d.cfg.Load().Zones)
	if err != nil {
		return nil, admin.BadRequest("q: %v", err)
	}
	return d.lookup(ctx, s), nil
}

// lookup decides about a subject in every zone.
func (d *proxy) lookup(ctx context.Context, s rbl.Subject) []lookupAnswer {
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	answers := []lookupAnswer{}
	for _, e := range d.resolver.Explain(ctx, s) {
		a := lookupAnswer{
			Zone: e.Zone, Verdict: e.Verdict.String(), Codes: append([]string{}, e.Codes...), Text: e.Text, Rule: e.Rule, Source: e.Source,
			Reason: e.Reason, TookMS: float64(e.Took.Microseconds()) / 1000, Observe: e.Observe, Steps: e.Steps,
		}
		if a.Reason == "" && len(e.Steps) > 0 {
			a.Reason = e.Steps[len(e.Steps)-1].What
		}
		answers = append(answers, a)
	}
	return answers
}

// statusView is /api/v1/zones: the lists and the sources of the rules.
type statusView struct {
	Zones   []zoneStatus   `json:"zones"`
	Sources []sourceStatus `json:"sources"`
}

type zoneStatus struct {
	Zone   string    `json:"zone"`
	Source string    `json:"source"`
	Mode   string    `json:"mode"`
	State  string    `json:"state,omitempty"` // of the list or the data behind it
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Budget *spending `json:"budget,omitempty"`
}

type spending struct {
	Limit    uint64 `json:"limit"`
	Used     uint64 `json:"used"`
	Forecast uint64 `json:"forecast"`
}

type sourceStatus struct {
	Rule        string    `json:"rule"`
	Action      string    `json:"action"`
	Source      string    `json:"source"`
	Enabled     bool      `json:"enabled"`
	V4          float64   `json:"ipv4_addresses"`
	V6          float64   `json:"ipv6_addresses"`
	Domains     int       `json:"domains"`
	InForce     bool      `json:"in_force"` // any of it, live terms too
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	Failures    uint64    `json:"failures"`
	Next        time.Time `json:"next,omitzero"`
	Warnings    []string  `json:"warnings,omitempty"`
}

// zonesNow is the state of everything that can fail.
func (d *proxy) zonesNow() statusView {
	view := statusView{Zones: []zoneStatus{}, Sources: []sourceStatus{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range d.cfg.Load().Zones {
		l := d.listNow(z)
		view.Zones = append(view.Zones, zoneStatus{
			Zone: z.Name, Source: z.Source, Mode: z.Mode,
			State: l.state, Reason: l.reason, Since: l.since, Budget: (*spending)(l.budget),
		})
	}
	for _, s := range d.rules.Status() {
		view.Sources = append(view.Sources, sourceStatus{
			Rule: s.Rule, Action: s.Action.String(), Source: s.Source.String(), Enabled: s.Enabled,
			V4: s.V4, V6: s.V6, Domains: s.Domains, LastSuccess: s.LastSuccess, LastError: s.LastError,
			InForce:  s.V4+s.V6+s.Live4+s.Live6 > 0 || s.Domains > 0,
			Failures: s.Failures, Next: s.Next, Warnings: s.Warnings,
		})
	}
	return view
}

// listNow is how the list behind a zone is, or its data.
type listNow struct {
	state, reason string
	since         time.Time
	budget        *upstream.Budget // nil without a bound
}

// listNow is empty for a zone without a list or data, and for one that is off:
// of a list that nobody asks it is not known. The caller holds d.mu.
func (d *proxy) listNow(z *config.Zone) (l listNow) {
	b := d.backends[z.Name]
	switch {
	case b == nil || z.Mode == "off":
		return l
	case b.data != nil:
		return dataNow(b.data.Status())
	case b.guarded == nil:
		return l
	}
	s := b.guarded.State()
	l.state, l.reason, l.since = s.Condition.String(), s.Reason, s.Since
	if z.Budget > 0 {
		u := b.guarded.Budget()
		l.budget = &u
	}
	return l
}

// dataNow says of data files what is said of a list.
func dataNow(s dataset.Status) listNow {
	switch {
	case s.Err == nil:
		return listNow{state: upstream.Healthy.String(), since: s.Since}
	case s.Zone == nil:
		return listNow{state: upstream.Unreachable.String(), reason: s.Err.Error(), since: s.Since}
	}
	reason := fmt.Sprintf("%v; what was loaded at %s is in force", s.Err, s.Loaded.UTC().Format(time.RFC3339))
	return listNow{state: upstream.Suspect.String(), reason: reason, since: s.Since}
}
