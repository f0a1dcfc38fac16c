package main

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// keep saves v under name for after a restart. That this fails is told of once.
func (d *proxy) keep(name string, v any) error {
	err := d.kept.Save(name, v)
	switch _, lost := d.lost.Load(name); {
	case err != nil && !lost:
		d.lost.Store(name, true)
		d.log.Warn("state not kept for a restart", slog.String("what", name), slog.Any("error", err))
	case err == nil && lost:
		d.lost.Delete(name)
		d.log.Info("state kept for a restart again", slog.String("what", name))
	}
	return err
}

// ofList is the name under which something is kept of the list that a zone asks.
// The list's own name may hold a key, of which it tells too little to guess it.
func ofList(what string, z *config.Zone) string {
	sum := sha256.Sum256([]byte(z.Upstream.Reveal()))
	return fmt.Sprintf("%s %s %x", what, z.Name, sum[:4])
}

// loadSpent and saveSpent keep how much of a list's budget is spent over a
// restart, and over a reload that changes the zone.
func (d *proxy) loadSpent(z *config.Zone) func() upstream.Spent {
	before := d.backends[z.Name]
	return func() upstream.Spent {
		if before != nil && before.guarded != nil && before.upstream == z.Upstream.Reveal() {
			if s, ok := before.guarded.Spent(); ok {
				return s
			}
		}
		var s upstream.Spent
		if _, err := d.kept.Load(ofList("budget", z), &s); err != nil {
			d.log.Warn("budget starts anew", slog.String("zone", z.Name), slog.Any("error", err))
		}
		return s
	}
}

func (d *proxy) saveSpent(z *config.Zone) func(upstream.Spent) error {
	return func(s upstream.Spent) error { return d.keep(ofList("budget", z), s) }
}

// quarantine is why a list is in quarantine, as it is kept over a restart.
type quarantine struct {
	Why   string    // empty when it is in none
	Liar  rbl.Shape // whose tests showed it
	Ended time.Time // when it was in none any more
}

func (d *proxy) keepQuarantine(z *config.Zone, from, to upstream.State) {
	switch upstream.Quarantined {
	case to.Condition:
		_ = d.keep(ofList("quarantine", z), quarantine{Why: to.Reason, Liar: to.Liar}) // the log has it
	case from.Condition:
		_ = d.keep(ofList("quarantine", z), quarantine{Ended: time.Now()})
	}
}

// quarantined is why a zone's list was in quarantine before a reload, or a
// restart, and for which shape; empty when it was not, or was another list.
func (d *proxy) quarantined(log *slog.Logger, z *config.Zone) (why string, liar rbl.Shape) {
	if b := d.backends[z.Name]; b != nil && b.guarded != nil {
		if s := b.guarded.State(); s.Condition == upstream.Quarantined && b.upstream == z.Upstream.Reveal() {
			return s.Reason, s.Liar
		}
		return "", rbl.Invalid
	}
	var q quarantine
	if _, err := d.kept.Load(ofList("quarantine", z), &q); err != nil {
		log.Warn("whether the list was in quarantine is not known", slog.Any("error", err))
	}
	return q.Why, q.Liar
}

// forgetLies has nothing believed at a start that the shared cache may hold of a
// list from before its quarantine ended.
func (d *proxy) forgetLies(c *config.Config) {
	for _, z := range c.Zones {
		var q quarantine
		if _, err := d.kept.Load(ofList("quarantine", z), &q); err == nil && time.Since(q.Ended) < c.Cache.MaxTTL {
			d.resolver.Forget(z.Name, true)
		}
	}
}
