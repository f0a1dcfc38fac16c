package resolver

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bucketBounds are the upper bounds of query_duration_seconds.
var bucketBounds = [...]time.Duration{
	5 * time.Microsecond, 10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
}

// histogram counts durations in shards, with weights, because the short ones
// are sampled. prometheus.Histogram has neither.
type histogram []histogramShard

type histogramShard struct {
	buckets [len(bucketBounds) + 1]atomic.Uint64
	nanos   atomic.Uint64
	_       [40]byte
}

// observe counts d as if it had happened weight times.
func (h histogram) observe(shard int, d time.Duration, weight uint64) {
	i := 0
	for i < len(bucketBounds) && d > bucketBounds[i] {
		i++
	}
	s := &h[shard]
	s.buckets[i].Add(weight)
	s.nanos.Add(uint64(d) * weight)
}

// metric adds the shards up.
func (h histogram) metric(desc *prometheus.Desc, path string) prometheus.Metric {
	var count, nanos uint64
	cumulative := make(map[float64]uint64, len(bucketBounds))
	for b := range len(bucketBounds) + 1 {
		for i := range h {
			count += h[i].buckets[b].Load()
		}
		if b < len(bucketBounds) {
			cumulative[bucketBounds[b].Seconds()] = count
		}
	}
	for i := range h {
		nanos += h[i].nanos.Load()
	}
	return prometheus.MustNewConstHistogram(desc, count, float64(nanos)/1e9, cumulative, path)
}
