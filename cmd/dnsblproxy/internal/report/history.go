package report

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Bounds of what is kept, in days on which something was counted, today
// included. A year and a month by the day, two weeks by the hour: some 700
// buckets at most.
const (
	hourlyDays = 15
	keepDays   = 401
)

// Counts are the figures of one list in one stretch of time.
type Counts struct {
	Questions uint64 `json:"q,omitempty"`
	Listings  uint64 `json:"l,omitempty"` // what exemptions removed included
	Exempted  uint64 `json:"x,omitempty"`
	Unique    uint64 `json:"u,omitempty"`
	Errors    uint64 `json:"e,omitempty"`
}

// with makes one of each two figures.
func (c Counts) with(d Counts, of func(a, b uint64) uint64) Counts {
	return Counts{
		of(c.Questions, d.Questions), of(c.Listings, d.Listings), of(c.Exempted, d.Exempted),
		of(c.Unique, d.Unique), of(c.Errors, d.Errors),
	}
}

func sum(a, b uint64) uint64     { return a + b }
func greater(a, b uint64) uint64 { return max(a, b) }

// growth is what was added to before. A counter that went back has started
// anew.
func growth(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// Bucket holds what was counted in one hour or one day of UTC.
type Bucket struct {
	Start time.Time         `json:"start"`
	Hours int               `json:"hours"` // 1 or 24
	Zones map[string]Counts `json:"zones"`
}

func (b *Bucket) day() time.Time { return b.Start.UTC().Truncate(24 * time.Hour) }

func (b *Bucket) end() time.Time { return b.Start.Add(time.Duration(b.Hours) * time.Hour) }

// History is what was counted, the oldest bucket first. The zero value is
// empty. It is what the kept file holds.
type History struct {
	Buckets []Bucket `json:"buckets"`
}

// add counts c for zone in the hour of now.
func (h *History) add(now time.Time, zone string, c Counts) {
	b := h.bucket(now.UTC().Truncate(time.Hour), 1)
	b.Zones[zone] = b.Zones[zone].with(c, sum)
}

// bucket finds or makes the bucket that begins at start.
func (h *History) bucket(start time.Time, hours int) *Bucket {
	i, found := slices.BinarySearchFunc(h.Buckets, start, func(b Bucket, t time.Time) int { return b.Start.Compare(t) })
	// An hour that is in a day already, because the clock was set back, counts
	// there.
	if !found && i > 0 && h.Buckets[i-1].end().After(start) {
		i, found = i-1, true
	}
	if !found {
		h.Buckets = slices.Insert(h.Buckets, i, Bucket{Start: start, Hours: hours, Zones: map[string]Counts{}})
	}
	b := &h.Buckets[i]
	b.Hours = max(b.Hours, hours)
	if b.Zones == nil {
		b.Zones = map[string]Counts{}
	}
	return b
}

// fold makes days of old hours and forgets the oldest days. It goes by the
// days that are there and not by the clock: one that is years ahead for a
// moment takes nothing away.
func (h *History) fold() {
	old := h.Buckets
	h.Buckets = nil
	newDay := func(i int) bool { return i == 0 || !old[i].day().Equal(old[i-1].day()) }
	left := 1 // days from this bucket's on, and one
	for i := range old {
		if newDay(i) {
			left++
		}
	}
	for i, b := range old {
		if newDay(i) {
			left--
		}
		switch {
		case left > keepDays:
		case b.Hours == 1 && left > hourlyDays:
			to := h.bucket(b.day(), 24)
			for zone, c := range b.Zones {
				to.Zones[zone] = to.Zones[zone].with(c, sum)
			}
		default:
			h.Buckets = append(h.Buckets, b)
		}
	}
}

func (h *History) from(start time.Time) History {
	var out History
	for _, b := range h.Buckets {
		if !b.Start.Before(start) {
			b.Zones = maps.Clone(b.Zones)
			out.Buckets = append(out.Buckets, b)
		}
	}
	return out
}

// merge takes over what another copy of this history has counted in some of
// its hours. Figures only grow, so the greater one is the later.
func (h *History) merge(latest History) {
	for _, more := range latest.Buckets {
		b := h.bucket(more.Start.UTC().Truncate(time.Hour), 1)
		if b.Hours != 1 || more.Hours != 1 {
			continue // an hour of which a day was made since
		}
		for zone, c := range more.Zones {
			b.Zones[zone] = b.Zones[zone].with(c, greater)
		}
	}
}

// mend puts a history that was read from a file in order.
func (h *History) mend() {
	for i := range h.Buckets {
		if b := &h.Buckets[i]; b.Hours != 24 {
			b.Hours = 1
		}
	}
	slices.SortStableFunc(h.Buckets, func(a, b Bucket) int { return a.Start.Compare(b.Start) })
}

// Figures are one list's, as people and machines read them.
type Figures struct {
	Zone      string `json:"zone"`
	Questions uint64 `json:"questions"`
	Listings  uint64 `json:"listings"`
	Exempted  uint64 `json:"exempted_listings"`
	Unique    uint64 `json:"unique_listings"`
	Errors    uint64 `json:"errors"`
}

// Figures adds up the buckets that reach into the time from since before now
// on: whole hours, and whole days where two weeks have passed. The zones
// named come first, in that order and with zeros if need be; then others that
// were counted.
func (h *History) Figures(now time.Time, since time.Duration, zones []string) []Figures {
	sums := map[string]Counts{}
	from := now.Add(-since)
	for i := range h.Buckets {
		if b := &h.Buckets[i]; b.end().After(from) && !b.Start.After(now) { // a clock may have been ahead
			for zone, c := range b.Zones {
				sums[zone] = sums[zone].with(c, sum)
			}
		}
	}
	return figures(sums, zones)
}

func figures(sums map[string]Counts, zones []string) []Figures {
	order := slices.Clone(zones)
	for _, zone := range slices.SortedFunc(maps.Keys(sums), cmp.Compare) {
		if !slices.Contains(order, zone) {
			order = append(order, zone)
		}
	}
	out := make([]Figures, 0, len(order))
	for _, zone := range order {
		c := sums[zone]
		out = append(out, Figures{zone, c.Questions, c.Listings, c.Exempted, c.Unique, c.Errors})
	}
	return out
}
