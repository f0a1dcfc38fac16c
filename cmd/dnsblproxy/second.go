package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/cache/shared"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver"
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
		Help: "Look-ups in the shared cache by result: hit, miss, invalid (not ours, or damaged) or error.",
	}, []string{"result"})
	for _, result := range []string{"hit", "miss", "invalid", "error"} {
		requests.WithLabelValues(result)
	}
	var err error
	d.shared, err = shared.Open(shared.Options{
		URL: s.URL.Reveal(), Secret: s.Secret.Reveal(), Timeout: s.Timeout, Log: d.log.With(slog.String("cache", "shared")),
		Count: func(result string) { requests.WithLabelValues(result).Inc() },
	})
	if err != nil {
		return nil, &config.Error{Problems: []config.Problem{c.Problem(err.Error(), "", "cache", "shared", "url")}}
	}
	d.reg.MustRegister(requests)
	return d.shared, nil
}
