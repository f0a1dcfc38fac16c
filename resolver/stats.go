package resolver

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/cache"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// path is the way on which an answer was found.
type path uint8

const (
	pathHit path = iota
	pathMiss
	pathStale
	pathOverride
	pathForward
	paths = iota
)

var pathNames = [paths]string{"hit", "miss", "stale", "override", "forward"}

// stats counts. What happens for every packet is counted in shards, one for
// each goroutine that reads packets, and added up when somebody asks; the
// rest are ordinary metrics. Clients and names asked about are never labels.
type stats struct {
	shards  int
	cache   *cache.Cache
	general *counts // questions that belong to no zone

	mu     sync.Mutex
	byName map[string]*counts // every zone since the start: counters do not go back
	served atomic.Pointer[[]*counts]

	durations [paths]histogram

	codes      *prometheus.CounterVec
	errors     *prometheus.CounterVec
	exemptions *prometheus.CounterVec
	saved      *prometheus.CounterVec
	asked      *prometheus.CounterVec
	askedTook  *prometheus.HistogramVec

	queriesDesc, requestsDesc, bytesDesc, durationDesc *prometheus.Desc
}

// counts are one zone's.
type counts struct {
	zone   string
	stats  *stats
	shards []countShard

	// saved counts questions about what the list has and a rule exempts.
	saved atomic.Uint64

	// again counts answers "listed" that are no listing: to questions for other
	// records, and about the lists' test entries. texts counts those to
	// questions for the text, mostly asked after the address.
	again, texts atomic.Uint64

	// usual are the counters of a list that answers.
	usual func() *usual

	exempt known // the counters of the rules that ever matched
	codes  known // those of the codes that the list ever gave
}

// usual are the series of questions that a list answers, which need not be
// looked up by label each time.
type usual struct {
	found, none prometheus.Counter
	took        prometheus.Observer
}

// countShard is padded so that two goroutines do not share a cache line.
type countShard struct {
	verdict [verdicts]atomic.Uint64
	weighed [verdicts]atomic.Uint64 // as a member of a combined zone
	request [3]atomic.Uint64        // pathHit, pathMiss, pathStale
	_       [56]byte
}

func newStats(shards int, c *cache.Cache) *stats {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dnsblproxy", Name: name, Help: help}, labels)
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("dnsblproxy_"+name, help, labels, nil)
	}
	s := &stats{
		shards: shards, cache: c, byName: make(map[string]*counts),
		codes:      counter("list_codes_total", "Listings that lists answered with, by code where it has a name, else as other.", "zone", "code"),
		errors:     counter("list_errors_total", "Answers of lists that must not be taken for a listing, by name.", "zone", "error"),
		exemptions: counter("exemptions_total", "Answers that an allow rule made unlisted.", "zone", "rule"),
		saved:      counter("exempted_listings_total", "Exemptions of what the list did list, by the least of its codes: mail saved.", "zone", "rule", "code"),
		asked:      counter("upstream_queries_total", "Questions for lists, by outcome: found, none, timeout, servfail, refused, unreachable, error, budget (not sent) or breaker (not sent, or not waited for).", "zone", "result"),
		askedTook: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "dnsblproxy", Name: "upstream_duration_seconds",
			Help:    "Time from the first packet sent to a list to a usable answer or the final failure.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}, []string{"zone"}),
		queriesDesc:  desc("queries_total", "Questions answered, by zone (empty: none) and verdict: listed, unlisted, exempt, denied, failed, forwarded or refused (malformed ones, too).", "zone", "verdict"),
		requestsDesc: desc("cache_requests_total", "Questions that a list's answer was needed for, by where it was: hit, miss or stale.", "zone", "result"),
		bytesDesc:    desc("cache_bytes", "Estimated memory of cached answers, of cache.size."),
		durationDesc: desc("query_duration_seconds", "Time to an answer by path: hit, miss, stale, override or forward; hits and overrides are sampled.", "path"),
	}
	for i := range s.durations {
		s.durations[i] = make(histogram, shards)
	}
	s.general = s.zone("")
	s.configure(nil)
	return s
}

// zone returns the counts of a zone, which survive reloads.
func (s *stats) zone(name string) *counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byName[name]
	if c == nil {
		c = &counts{zone: name, stats: s, shards: make([]countShard, s.shards)}
		c.usual = sync.OnceValue(func() *usual {
			return &usual{
				found: s.asked.WithLabelValues(name, "found"), none: s.asked.WithLabelValues(name, "none"),
				took: s.askedTook.WithLabelValues(name),
			}
		})
		c.exempt.make = func(rule string) prometheus.Counter { return s.exemptions.WithLabelValues(name, rule) }
		c.codes.make = func(code string) prometheus.Counter { return s.codes.WithLabelValues(name, code) }
		s.byName[name] = c
	}
	return c
}

// configure says which zones are served now.
func (s *stats) configure(zones []*zone) {
	served := []*counts{s.general}
	for _, z := range zones {
		served = append(served, z.counts)
	}
	s.served.Store(&served)
}

func (c *counts) count(shard int, v Verdict) { c.shards[shard].verdict[v].Add(1) }

// known holds counters of one zone by their second label, so that one that was
// needed before need not be looked up by both.
type known struct {
	make func(label string) prometheus.Counter

	mu  sync.Mutex // of who adds one
	all atomic.Pointer[map[string]prometheus.Counter]
}

func (k *known) counter(label string) prometheus.Counter {
	if all := k.all.Load(); all != nil {
		if c, ok := (*all)[label]; ok {
			return c
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := map[string]prometheus.Counter{}
	if all := k.all.Load(); all != nil {
		next = maps.Clone(*all) // readers may have the old one
	}
	next[label] = k.make(label)
	k.all.Store(&next)
	return next[label]
}

// savedListing counts that rule took all of data, a listing, away from z, once
// and by its least code: where one is beyond exemptions nothing was saved.
func (c *counts) savedListing(z *zone, rule string, data packed) {
	if removable, fixed := z.listing(data); !removable || fixed {
		return
	}
	c.saved.Add(1)
	least := ^rbl.Code(0)
	for rec := range data.records {
		if code, ok := rec.code(); ok && z.Listed.Contains(code) {
			least = min(least, code)
		}
	}
	c.stats.saved.WithLabelValues(c.zone, rule, z.label(least)).Inc()
}

// asked counts one question to the list and how it ended.
func (c *counts) asked(o *upstream.Outcome, why failure) {
	usual := c.usual()
	if o.Took > 0 { // else nothing was sent
		usual.took.Observe(o.Took.Seconds())
	}
	switch {
	case o.Err == nil && len(o.Response.Records) > 0:
		usual.found.Inc()
	case o.Err == nil:
		usual.none.Inc()
	case why.vain: // an error code
		c.stats.errors.WithLabelValues(c.zone, why.name).Inc()
		c.stats.asked.WithLabelValues(c.zone, "error").Inc()
	default:
		c.stats.asked.WithLabelValues(c.zone, why.name).Inc()
	}
}

// Fault counts, by name, that a list answered a test question of ours with an
// error. Users' questions do not come to know of it while the breaker is open.
func (r *Resolver) Fault(zoneName string, err error) {
	z := r.snap.Load().zones.named(zoneName)
	if z == nil {
		return
	}
	if why := z.failure(err); why.vain {
		r.stats.errors.WithLabelValues(z.counts.zone, why.name).Inc()
	}
}

// listed counts the codes with which a list answered.
func (c *counts) listed(z *zone, data packed) {
	for rec := range data.records {
		if code, ok := rec.code(); ok && z.Listed.Contains(code) {
			c.codes.counter(z.label(code)).Inc()
		}
	}
}

// label keeps the number of series bounded: only codes with names have one.
func (z *zone) label(code rbl.Code) string {
	if name := z.CodeName(code); name != "" {
		return name
	}
	return "other"
}

// Describe implements prometheus.Collector.
func (s *stats) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.queriesDesc, s.requestsDesc, s.bytesDesc, s.durationDesc} {
		ch <- d
	}
	for _, v := range s.vectors() {
		v.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (s *stats) Collect(ch chan<- prometheus.Metric) {
	for _, c := range *s.served.Load() {
		for v := range Verdict(verdicts) {
			total := c.sum(func(sh *countShard) *atomic.Uint64 { return &sh.verdict[v] })
			if total > 0 || c.zone != "" {
				ch <- prometheus.MustNewConstMetric(s.queriesDesc, prometheus.CounterValue, total, c.zone, v.String())
			}
		}
		for p := range path(3) {
			if c.zone != "" {
				total := c.sum(func(sh *countShard) *atomic.Uint64 { return &sh.request[p] })
				ch <- prometheus.MustNewConstMetric(s.requestsDesc, prometheus.CounterValue, total, c.zone, pathNames[p])
			}
		}
	}
	ch <- prometheus.MustNewConstMetric(s.bytesDesc, prometheus.GaugeValue, float64(s.cache.Bytes()))
	for p, h := range s.durations {
		ch <- h.metric(s.durationDesc, pathNames[p])
	}
	for _, v := range s.vectors() {
		v.Collect(ch)
	}
}

func (s *stats) vectors() []prometheus.Collector {
	return []prometheus.Collector{s.codes, s.errors, s.exemptions, s.saved, s.asked, s.askedTook}
}

func (c *counts) sum(of func(*countShard) *atomic.Uint64) float64 {
	var total uint64
	for i := range c.shards {
		total += of(&c.shards[i]).Load()
	}
	return float64(total)
}
