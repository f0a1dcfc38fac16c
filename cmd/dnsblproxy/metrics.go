package main

import (
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/resolver/upstream"
)

// registerOwn adds the metrics that belong to the process.
func (d *proxy) registerOwn() {
	v := readVersion()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dnsblproxy_build_info", Help: "1, with the version as labels.",
		ConstLabels: prometheus.Labels{"version": v.Version, "commit": v.Commit, "goversion": runtime.Version()},
	})
	build.Set(1)
	d.reloaded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dnsblproxy_config_last_reload_successful", Help: "1 if the configuration in force is that of the file.",
	})
	d.reloaded.Set(1)
	d.reg.MustRegister(build, d.reloaded, listStates{d})
	incidents := &d.pool.Stats
	for incident, n := range map[string]*atomic.Uint64{
		"unmatched": &incidents.Mismatched, "guessed": &incidents.Bursts, "truncated": &incidents.Truncated,
		"case": &incidents.PlainCase, "edns": &incidents.PlainDNS,
	} {
		d.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "dnsblproxy_upstream_incidents_total",
			Help:        "What happened to questions for lists and resolvers: unmatched is an answer dropped, for it fits no question that is out (late, or forged); all others had the question asked again: guessed (over TCP, after several of these), truncated (over TCP), case (the server had changed the name's), edns (without it).",
			ConstLabels: prometheus.Labels{"incident": incident},
		}, func() float64 { return float64(n.Load()) }))
	}
}

// listStates is the metric of the lists' states: one of four is 1.
type listStates struct{ d *proxy }

var listStateDesc = prometheus.NewDesc("dnsblproxy_list_state",
	"1 for the state that a zone's list is in: healthy, suspect, quarantined or unreachable; for data files suspect is that they cannot be read again, unreachable that they have expired.", []string{"zone", "state"}, nil)

// Describe implements prometheus.Collector.
func (listStates) Describe(ch chan<- *prometheus.Desc) { ch <- listStateDesc }

// Collect implements prometheus.Collector.
func (s listStates) Collect(ch chan<- prometheus.Metric) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	conditions := []upstream.Condition{upstream.Healthy, upstream.Suspect, upstream.Quarantined, upstream.Unreachable}
	for _, z := range s.d.cfg.Load().Zones {
		now := s.d.listNow(z).State
		if now == "" {
			continue
		}
		for _, c := range conditions {
			value := 0.0
			if c.String() == now {
				value = 1
			}
			ch <- prometheus.MustNewConstMetric(listStateDesc, prometheus.GaugeValue, value, z.Name, c.String())
		}
	}
}
