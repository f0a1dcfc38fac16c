package overrides

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SourceStatus is how one source of one rule is doing.
type SourceStatus struct {
	Action  Action
	Rule    string
	Source  Source
	Enabled bool // the rule counts now: neither disabled nor expired

	V4, V6  float64 // addresses that the source opens, fixed ones only
	Live4   float64 // addresses for which the list's verdict is checked live
	Live6   float64
	Domains int

	Tried       bool      // by this process; false: what is in force was kept from before a restart
	LastSuccess time.Time // when what it opens was last confirmed; zero: never
	LastError   string    // of the latest attempt; empty if it was good
	Failures    uint64
	Next        time.Time // of the next attempt; zero for typed ones and files
	Warnings    []string
}

// RuleStatus is what one rule opens, all its sources together.
type RuleStatus struct {
	Action  Action
	Rule    string
	Comment string
	Zones   []string
	Enabled bool
	Expires time.Time // the last day on which it counts; zero: none
	V4, V6  float64   // distinct addresses, exceptions left out
}

// Status returns the state of every source in configuration order.
func (e *Engine) Status() []SourceStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	out := make([]SourceStatus, 0, len(e.sources))
	for _, s := range e.sources {
		st := SourceStatus{
			Action: s.key.action, Rule: s.key.rule, Source: s.source, Enabled: s.active(now),
			Tried: s.tried, LastSuccess: s.success, Failures: s.failures, Next: s.next, Warnings: s.warnings,
		}
		if s.err != nil {
			st.LastError = s.err.Error()
		}
		if s.content != nil {
			st.Domains = len(s.content.domains)
		}
		n4, n6 := s.content.countsOf(false)
		l4, l6 := s.content.countsOf(true)
		st.V4, st.V6, st.Live4, st.Live6 = n4.float(), n6.float(), l4.float(), l6.float()
		out = append(out, st)
	}
	return out
}

// RuleStatus returns what every rule in the table in force opens.
func (e *Engine) RuleStatus() []RuleStatus {
	t := e.Table()
	open := make(map[*Rule]tableRule, len(t.rules))
	for _, r := range t.rules {
		open[r.rule] = r
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now().Unix()
	out := make([]RuleStatus, 0, len(e.rules))
	for _, r := range e.rules {
		o := open[r]
		out = append(out, RuleStatus{
			Action: r.Action, Rule: r.Name, Comment: r.Comment, Zones: r.Zones,
			Enabled: r.Active(now), Expires: r.Expires,
			V4: o.n4.float(), V6: o.n6.float(),
		})
	}
	return out
}

// collector makes the engine's metrics from its state when they are scraped,
// so that a rule that is gone leaves no series behind.
type collector struct{ e *Engine }

func (c collector) descs() (addresses, success, failures *prometheus.Desc) {
	return prometheus.NewDesc("dnsblproxy_rule_addresses",
			"Distinct addresses that a rule's fixed entries hold, by family (ip4, ip6).", []string{"rule", "family"}, nil),
		prometheus.NewDesc("dnsblproxy_source_last_success_timestamp_seconds",
			"When a rule's source was last loaded or confirmed, in seconds since 1970.", []string{"rule", "source"}, nil),
		prometheus.NewDesc("dnsblproxy_source_failures_total",
			"Attempts to load a rule's source that failed.", []string{"rule", "source"}, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	a, s, f := c.descs()
	ch <- a
	ch <- s
	ch <- f
}

// Collect implements prometheus.Collector. An allow and a deny rule of one
// name are added up, because the label is the name alone.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	addresses, success, failures := c.descs()
	type series struct{ rule, label string }
	sums := make(map[series]float64)
	for _, r := range c.e.RuleStatus() {
		sums[series{r.Rule, "ip4"}] += r.V4
		sums[series{r.Rule, "ip6"}] += r.V6
	}
	for k, v := range sums {
		ch <- prometheus.MustNewConstMetric(addresses, prometheus.GaugeValue, v, k.rule, k.label)
	}
	last := make(map[series]float64)
	count := make(map[series]float64)
	for _, s := range c.e.Status() {
		k := series{s.Rule, s.Source.String()}
		if !s.LastSuccess.IsZero() {
			last[k] = max(last[k], float64(s.LastSuccess.UnixMilli())/1000)
		}
		count[k] += float64(s.Failures)
	}
	for k, v := range last {
		ch <- prometheus.MustNewConstMetric(success, prometheus.GaugeValue, v, k.rule, k.label)
	}
	for k, v := range count {
		ch <- prometheus.MustNewConstMetric(failures, prometheus.CounterValue, v, k.rule, k.label)
	}
}
