package main

import (
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/cache/shared"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/upstream"
)

// openShared connects to the cache that several proxies share; nil without
// one.
func (d *proxy) openShared(c *config.Config) (resolver.SecondLevel, error) {
	s := c.Cache.Shared
	if s.URL == "" {
		return nil, nil
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dnsblproxy_shared_cache_requests_total",
		Help: "Look-ups in the shared cache by result: hit, miss, invalid (not ours, or damaged) or error; also the writes that it refused.",
	}, []string{"result"})
	for _, result := range []string{"hit", "miss", "invalid", "error", "refused"} {
		requests.WithLabelValues(result)
	}
	var err error
	d.shared, err = shared.Open(shared.Options{
		URL: s.URL.Reveal(), Secret: s.Secret.Reveal(), Timeout: s.Timeout, Log: d.log.With(slog.String("cache", "shared")),
		Count: func(result string) { requests.WithLabelValues(result).Inc() },
	})
	if err != nil {
		return nil, err
	}
	d.reg.MustRegister(requests)
	return d.shared, nil
}

// sharedURL checks the URL of the shared cache; whether the server is there is
// no matter of the configuration.
func sharedURL(s string) error {
	return instead(shared.CheckURL(s), `write "redis://127.0.0.1:6379/0", "rediss://..." for TLS, or "unix:///path?db=0"; a slash in a password is %2F`)
}

// Warnings between proxies: how often each looks for those of others, and how
// long one is there. A list is tested once a minute at most, whoever warns.
const (
	warningsEvery = 3 * time.Second
	warningLife   = 5 * time.Minute
)

// warnOthers tells the other proxies that a list is in a bad state. They test
// it themselves and believe only that.
func (d *proxy) warnOthers(zone string, to upstream.Condition) {
	if d.shared == nil || to != upstream.Quarantined && to != upstream.Unreachable {
		return
	}
	if z := d.cfg.Load().Zone(zone); z != nil {
		d.shared.Announce(z.Upstream.Reveal(), warningLife)
	}
}

// listNames are the lists that are asked.
func (d *proxy) listNames() []string {
	var names []string
	for _, z := range d.cfg.Load().Zones {
		if name := z.Upstream.Reveal(); z.Source == "upstream" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// warned has a list tested in all of its zones.
func (d *proxy) warned(list string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range d.cfg.Load().Zones {
		if b := d.backends[z.Name]; b != nil && b.guarded != nil && z.Upstream.Reveal() == list {
			d.log.Info("another proxy warns of a list", slog.String("zone", z.Name))
			b.guarded.Check()
		}
	}
}
