package resolver

import (
	"errors"
	"time"

	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// Guarded is a DNSBL behind its circuit breakers, tests and budget.
type Guarded struct {
	list *upstream.List
	help func(rbl.Code) string
}

// NewGuarded wraps l. help says what an error code asks of the administrator.
func NewGuarded(l *upstream.List, help func(rbl.Code) string) *Guarded {
	return &Guarded{list: l, help: help}
}

// maxErrorHold bounds how long an error code is remembered, so that a list
// that serves us again is believed within a minute.
const maxErrorHold = time.Minute

// Start implements List.
func (g *Guarded) Start(a Ask, done func(Result)) {
	g.list.Start(upstream.Ask{
		Question: upstream.Question{Name: a.Name, Type: a.Type},
		Shape:    a.Subject.Shape, Subject: a.Subject.Addr, Background: a.Background,
	}, func(o upstream.Outcome) {
		res := Result{Outcome: o}
		var code *upstream.CodeError
		if errors.As(o.Err, &code) {
			res.Err = &ListError{Name: code.Name, Help: g.help(code.Code)}
			res.HoldFor = min(time.Duration(o.Response.TTL)*time.Second, maxErrorHold)
		}
		done(res)
	})
}

// Open implements List.
func (g *Guarded) Open(s rbl.Shape) (string, bool) {
	if !g.list.Open(s) {
		return "", false
	}
	if why := g.list.State().Reason; why != "" {
		return why, true
	}
	return "the list does not answer", true
}

// Quarantined implements List.
func (g *Guarded) Quarantined() (string, bool) {
	s := g.list.State()
	return s.Reason, s.Condition == upstream.Quarantined
}
