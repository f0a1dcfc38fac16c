package resolver

import (
	"cmp"

	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// Guarded is a DNSBL behind its circuit breakers, tests and budget.
type Guarded struct{ list *upstream.List }

// NewGuarded wraps l.
func NewGuarded(l *upstream.List) *Guarded { return &Guarded{l} }

// Start implements List.
func (g *Guarded) Start(a Ask, done func(upstream.Outcome)) {
	g.list.Start(upstream.Ask{
		Question: upstream.Question{Name: a.Name, Type: a.Type},
		Shape:    a.Subject.Shape, Subject: a.Subject.Addr, Background: a.Background,
	}, done)
}

// Open implements List.
func (g *Guarded) Open(s rbl.Shape) (why string, vain, open bool) {
	if !g.list.Open(s) {
		return "", false, false
	}
	why = cmp.Or(g.list.State().Reason, "the list does not answer")
	return why, g.list.Refuses(s), true
}

// Quarantined implements List.
func (g *Guarded) Quarantined() (string, bool) {
	return g.list.Quarantined()
}
