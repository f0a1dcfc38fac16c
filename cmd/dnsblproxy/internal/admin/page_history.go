package admin

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// History samples the metrics every ten seconds and remembers six hours of
// it, so that the page can draw a chart where no Prometheus runs.
type History struct {
	from prometheus.Gatherer
	log  *slog.Logger

	mu     sync.Mutex
	ring   []sample // grows to historySamples; then next is the oldest
	next   int
	bounds []float64 // of every sample's took

	last figures // as of the latest sample; only Run uses it
}

// sample is what happened in the ten seconds before at.
type sample struct {
	at       time.Time
	verdicts [len(chartKinds)]uint32
	took     []uint32 // by bucket
}

const (
	historyStep    = 10 * time.Second
	historySpan    = 6 * time.Hour
	historySamples = int(historySpan / historyStep)
)

// chartKinds are the verdicts in the order in which the chart stacks them,
// the rare and important ones at the bottom.
var chartKinds = [...]string{"listed", "denied", "exempt", "failed", "unlisted", "other"}

// NewHistory remembers nothing yet.
func NewHistory(from prometheus.Gatherer, log *slog.Logger) *History {
	return &History{from: from, log: log}
}

// Run samples until ctx is done. It is called once.
func (h *History) Run(ctx context.Context) {
	h.take(time.Now())
	t := time.NewTicker(historyStep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			h.take(now)
		}
	}
}

// take adds a sample; the first call only notes where the counters stand.
func (h *History) take(now time.Time) {
	f, err := readFigures(h.from)
	if err != nil {
		h.log.Warn("no sample for the chart", slog.Any("error", err))
		return
	}
	before := h.last
	for name, z := range before.zones {
		if f.zones[name] == nil {
			f.zones[name] = z // a zone that a reload brings back counts on from here
		}
	}
	h.last = f
	if before.zones == nil {
		return
	}
	s := sample{at: now}
	for name, z := range f.zones {
		old := before.zones[name]
		for verdict, n := range z.verdicts {
			if old != nil {
				n -= old.verdicts[verdict]
			}
			s.verdicts[chartKind(verdict)] += uint32(max(0, n))
		}
	}
	took := f.took.less(&before.took)
	s.took = make([]uint32, len(took.counts))
	for i, n := range took.counts {
		s.took[i] = uint32(n)
	}
	h.add(s, took.bounds)
}

// chartKind is the place of a verdict in chartKinds; all that are not about a
// zone share the last.
func chartKind(verdict string) int {
	if i := slices.Index(chartKinds[:], verdict); i >= 0 {
		return i
	}
	return len(chartKinds) - 1
}

func (h *History) add(s sample, bounds []float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bounds = bounds
	if len(h.ring) < historySamples {
		h.ring = append(h.ring, s)
		return
	}
	h.ring[h.next] = s
	h.next = (h.next + 1) % len(h.ring)
}

// column is what happened in one column of the chart.
type column struct {
	from, to time.Time
	sampled  time.Duration // how much of it is known
	verdicts [len(chartKinds)]float64
	took     spread
}

// columns sums the samples of the span before now up into n columns.
func (h *History) columns(now time.Time, span time.Duration, n int) []column {
	h.mu.Lock()
	defer h.mu.Unlock()
	width := span / time.Duration(n)
	// Columns begin at whole multiples of their width, so that a reload of
	// the page moves them along and does not reshuffle them.
	start := now.Truncate(width).Add(width - span)
	out := make([]column, n)
	for i := range out {
		out[i].from = start.Add(time.Duration(i) * width)
		out[i].to = out[i].from.Add(width)
		out[i].took = spread{bounds: h.bounds, counts: make([]float64, len(h.bounds)+1)}
	}
	for i := range h.ring {
		s := &h.ring[i]
		// A sample covers the time before it: the middle says where it belongs.
		middle := s.at.Add(-historyStep / 2)
		if middle.Before(start) {
			continue
		}
		at := int(middle.Sub(start) / width)
		if at >= n {
			continue
		}
		out[at].put(s)
	}
	return out
}

func (c *column) put(s *sample) {
	c.sampled += historyStep
	for k, v := range s.verdicts {
		c.verdicts[k] += float64(v)
	}
	if len(s.took) == len(c.took.counts) {
		for b, v := range s.took {
			c.took.counts[b] += float64(v)
		}
	}
}

// total is how many questions were answered in the column.
func (c *column) total() float64 { return sum(slices.Values(c.verdicts[:])) }
