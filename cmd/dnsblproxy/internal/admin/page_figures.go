package admin

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// figures are counters since the start, read from the metrics, so that the
// page and a dashboard never disagree.
type figures struct {
	zones map[string]*zoneFigures
	rules map[string]*ruleFigures
	took  spread // answers to questions about zones, by all paths
	own   map[watched]float64

	// shared counts the requests to the shared cache by result; empty
	// without one.
	shared map[string]float64
}

// watched is a list that is asked about one's own addresses, by the name of
// the watch.
type watched struct{ watch, zone string }

type zoneFigures struct {
	verdicts map[string]float64
	cache    map[string]float64 // hit, miss, stale
	took     spread             // of questions to the list
	errors   float64
}

// ruleFigures are what a rule let through: all of it, and what a list had.
type ruleFigures struct {
	exempted, saved float64
}

// spread is a histogram. Its counts are each bucket's own, the last one for
// everything above the last bound.
type spread struct {
	bounds []float64 // seconds, rising
	counts []float64
}

func readFigures(g prometheus.Gatherer) (figures, error) {
	f := figures{zones: map[string]*zoneFigures{}, rules: map[string]*ruleFigures{}, own: map[watched]float64{}, shared: map[string]float64{}}
	families, err := g.Gather()
	if err != nil {
		return f, fmt.Errorf("reading the metrics: %w", err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			f.read(family.GetName(), m)
		}
	}
	return f, nil
}

func (f *figures) read(name string, m *dto.Metric) {
	label := func(name string) string {
		for _, l := range m.Label {
			if l.GetName() == name {
				return l.GetValue()
			}
		}
		return ""
	}
	count := m.GetCounter().GetValue()
	switch name {
	case "dnsblproxy_queries_total":
		f.zone(label("zone")).verdicts[label("verdict")] += count
	case "dnsblproxy_cache_requests_total":
		f.zone(label("zone")).cache[label("result")] += count
	case "dnsblproxy_upstream_duration_seconds":
		f.zone(label("zone")).took.add(m.GetHistogram())
	case "dnsblproxy_list_errors_total":
		f.zone(label("zone")).errors += count
	case "dnsblproxy_exemptions_total":
		f.rule(label("rule")).exempted += count
	case "dnsblproxy_exempted_listings_total":
		f.rule(label("rule")).saved += count
	case "dnsblproxy_query_duration_seconds":
		if label("path") != "forward" {
			f.took.add(m.GetHistogram())
		}
	case "dnsblproxy_watch_listed":
		f.own[watched{label("watch"), label("zone")}] += m.GetGauge().GetValue()
	case "dnsblproxy_shared_cache_requests_total":
		f.shared[label("result")] += m.GetCounter().GetValue()
	}
}

// zone returns the figures of a zone, empty ones if it has none yet.
func (f *figures) zone(name string) *zoneFigures {
	z := f.zones[name]
	if z == nil {
		z = &zoneFigures{verdicts: map[string]float64{}, cache: map[string]float64{}}
		f.zones[name] = z
	}
	return z
}

func (f *figures) rule(name string) *ruleFigures {
	r := f.rules[name]
	if r == nil {
		r = &ruleFigures{}
		f.rules[name] = r
	}
	return r
}

func sum(counts iter.Seq[float64]) (n float64) {
	for c := range counts {
		n += c
	}
	return n
}

func (z *zoneFigures) questions() float64 { return sum(maps.Values(z.verdicts)) }

// listed counts listings, denials among them.
func (z *zoneFigures) listed() float64 { return z.verdicts["listed"] + z.verdicts["denied"] }

func (z *zoneFigures) exempted() float64 { return z.verdicts["exempt"] }

// hitShare is the share of questions that the cache answered; NaN without any.
func (z *zoneFigures) hitShare() float64 {
	good := z.cache["hit"] + z.cache["stale"]
	return good / (good + z.cache["miss"])
}

// add puts the counts of a histogram with cumulative buckets on top.
func (s *spread) add(h *dto.Histogram) {
	if s.bounds == nil {
		for _, b := range h.Bucket {
			if !math.IsInf(b.GetUpperBound(), 1) {
				s.bounds = append(s.bounds, b.GetUpperBound())
			}
		}
		s.counts = make([]float64, len(s.bounds)+1)
	}
	below := 0.0
	for i, b := range h.Bucket {
		if i < len(s.counts)-1 {
			s.counts[i] += float64(b.GetCumulativeCount()) - below
			below = float64(b.GetCumulativeCount())
		}
	}
	s.counts[len(s.counts)-1] += float64(h.GetSampleCount()) - below
}

// less returns what was counted since before; all of it when before has other
// buckets.
func (s *spread) less(before *spread) spread {
	out := spread{bounds: s.bounds, counts: slices.Clone(s.counts)}
	if len(before.counts) == len(s.counts) {
		for i := range out.counts {
			out.counts[i] = max(0, out.counts[i]-before.counts[i])
		}
	}
	return out
}

func (s *spread) total() float64 { return sum(slices.Values(s.counts)) }

// quantile returns the duration below which a share q of the values lies, as
// far as the buckets tell: values are taken as evenly spread within one. It
// is 0 without values, and the last bound for what lies above.
func (s *spread) quantile(q float64) time.Duration {
	left := q * s.total()
	if left == 0 {
		return 0
	}
	low := 0.0
	for i, bound := range s.bounds {
		if n := s.counts[i]; n >= left {
			return seconds(low + (bound-low)*left/n)
		}
		left -= s.counts[i]
		low = bound
	}
	return seconds(low)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
