package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// api is what the running server tells: /api/v1/NAME.
func (d *proxy) api() map[string]admin.Endpoint {
	return map[string]admin.Endpoint{
		"zones":  func(context.Context, url.Values) (any, error) { return d.overview(), nil },
		"lookup": d.lookupEndpoint,
		"report": d.reportEndpoint,
		"exemptions": func(context.Context, url.Values) (any, error) {
			return admin.Stream(func(yield func(any) bool) {
				for x := range exemptionsIn(d.cfg.Load(), d.rules) {
					if !yield(x) {
						return
					}
				}
			}), nil
		},
	}
}

// lookupPatience bounds one look-up: the deadline of a question and of the
// one for its text.
const lookupPatience = 15 * time.Second

func (d *proxy) lookupEndpoint(ctx context.Context, query url.Values) (any, error) {
	q := query.Get("q")
	if q == "" {
		return nil, admin.BadRequest("q is missing; write ?q=192.0.2.1")
	}
	return d.lookupTyped(ctx, q)
}

// lookupTyped decides about what a person has typed.
func (d *proxy) lookupTyped(ctx context.Context, what string) ([]admin.Answer, error) {
	s, err := typedSubject(what, d.cfg.Load().Zones)
	if err != nil {
		return nil, admin.BadRequest("%v", err)
	}
	return d.lookup(ctx, s), nil
}

// lookup decides about a subject in every zone.
func (d *proxy) lookup(ctx context.Context, s rbl.Subject) []admin.Answer {
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	answers := []admin.Answer{}
	for _, e := range d.resolver.Explain(ctx, s) {
		a := admin.Answer{
			Zone: e.Zone, Verdict: e.Verdict.String(), Codes: append([]string{}, e.Codes...), Text: e.Text, Rule: e.Rule, Source: e.Source,
			Reason: e.Reason, TookMS: float64(e.Took.Microseconds()) / 1000, Observe: e.Observe,
		}
		for _, step := range e.Steps {
			a.Steps = append(a.Steps, admin.Step(step))
		}
		if a.Reason == "" && len(a.Steps) > 0 {
			a.Reason = a.Steps[len(a.Steps)-1].What
		}
		answers = append(answers, a)
	}
	return answers
}

// listNow is how a zone is, and the list or the data behind it. Its state is
// empty for a zone without either, and for one that is off: of a list that
// nobody asks it is not known. The caller holds d.mu.
func (d *proxy) listNow(z *config.Zone) admin.List {
	l := admin.List{Zone: z.Name, Source: z.Source, Mode: z.Mode, Kind: z.Kind}
	if known := knownList(d.lists, z); known != nil {
		l.Name, l.Docs = known.Name, known.Docs
	}
	b := d.backends[z.Name]
	switch {
	case b == nil || z.Mode == "off":
	case b.data != nil:
		s := b.data.Status()
		l.State, l.Reason = dataNow(s)
		l.Since = s.Since
	case b.guarded != nil:
		s := b.guarded.State()
		l.State, l.Reason, l.Since = s.Condition.String(), s.Reason, s.Since
		if z.Budget > 0 {
			l.Budget = new(admin.Budget(b.guarded.Budget()))
		}
	}
	return l
}

// dataNow says of data files what is said of a list.
func dataNow(s dataset.Status) (state, reason string) {
	switch {
	case s.Err == nil:
		return upstream.Healthy.String(), ""
	case s.Zone == nil:
		return upstream.Unreachable.String(), s.Err.Error()
	}
	return upstream.Suspect.String(), fmt.Sprintf("%v; what was loaded at %s is in force", s.Err, s.Loaded.UTC().Format(time.RFC3339))
}
