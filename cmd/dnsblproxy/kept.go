package main

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
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

// spent is how much of a list's budget is spent, as it is kept over a restart.
type spent struct {
	List string // a digest of the list's name, which may hold a key
	upstream.Spent
}

// loadSpent and saveSpent keep that over a restart, and over a reload that
// changes the zone. Another list begins with its own budget.
func (d *proxy) loadSpent(z *config.Zone) func() upstream.Spent {
	before := d.backends[z.Name]
	return func() upstream.Spent {
		if before != nil && before.guarded != nil && before.upstream == z.Upstream.Reveal() {
			if s, ok := before.guarded.Spent(); ok {
				return s
			}
		}
		var s spent
		if _, err := d.kept.Load("budget "+z.Name, &s); err != nil {
			d.log.Warn("budget starts anew", slog.String("zone", z.Name), slog.Any("error", err))
		}
		if s.List != digest(z) {
			return upstream.Spent{}
		}
		return s.Spent
	}
}

func (d *proxy) saveSpent(z *config.Zone) func(upstream.Spent) error {
	return func(s upstream.Spent) error { return d.keep("budget "+z.Name, spent{digest(z), s}) }
}

// quarantine is why a list is in quarantine, as it is kept over a restart.
type quarantine struct {
	List  string    // a digest of the list's name, which may hold a key
	Why   string    // empty when it is in none
	Ended time.Time // when it was in none any more
}

func (d *proxy) keepQuarantine(z *config.Zone, from, to upstream.State) {
	if from.Condition != upstream.Quarantined && to.Condition != upstream.Quarantined {
		return
	}
	q := quarantine{List: digest(z)}
	if to.Condition == upstream.Quarantined {
		q.Why = to.Reason
	} else {
		q.Ended = time.Now()
	}
	_ = d.keep("quarantine "+z.Name, q) // the log has it
}

// quarantined is why a zone's list was in quarantine before a reload, or a
// restart; empty when it was not, or was another list.
func (d *proxy) quarantined(log *slog.Logger, z *config.Zone) string {
	if b := d.backends[z.Name]; b != nil && b.guarded != nil {
		if s := b.guarded.State(); s.Condition == upstream.Quarantined && b.upstream == z.Upstream.Reveal() {
			return s.Reason
		}
		return ""
	}
	var q quarantine
	if _, err := d.kept.Load("quarantine "+z.Name, &q); err != nil {
		log.Warn("whether the list was in quarantine is not known", slog.Any("error", err))
	}
	if q.List != digest(z) {
		return ""
	}
	return q.Why
}

// forgetLies has nothing believed at a start that the shared cache may hold of a
// list from before its quarantine ended.
func (d *proxy) forgetLies(c *config.Config) {
	for _, z := range c.Zones {
		var q quarantine
		_, err := d.kept.Load("quarantine "+z.Name, &q)
		if err == nil && q.List == digest(z) && time.Since(q.Ended) < c.Cache.MaxTTL {
			d.resolver.Forget(z.Name, true)
		}
	}
}

func digest(z *config.Zone) string {
	sum := sha256.Sum256([]byte(z.Upstream.Reveal()))
	return hex.EncodeToString(sum[:])
}
