// Package report keeps figures of each list over time, over restarts too, so
// that an administrator sees which list is worth its questions:
//
//	questions          asked in the list's zone, or in one that weighs it
//	listings           what the list has, or a deny rule of its zone
//	exempted listings  those that an exemption removed: wrong ones, by the
//	                   administrator's own word
//	unique listings    addresses or domains that no other blocklist had
//	errors             questions that the list did not answer, or not credibly
//
// It decides how figures are summed up over time: by the hour for two weeks,
// by the day for 400 days. What is counted it reads from ever-growing totals
// that are handed in. A listing is unique if, some seconds after it was found,
// no other list is known to have the same subject; a list that was not asked
// in the meantime (Postfix's smtpd stops at the first hit) does not count.
// Unique listings are counted once a TTL and never more often than the bound
// on memory allows; they are a lower bound under a flood.
//
// What was counted is kept each minute, so that little is lost with a process
// that is killed. A year of figures is some hundred kilobytes for each ten
// lists, too much to be written that often: these are kept once an hour and at
// the end, and in between the latest hours alone, which fill a page at most.
//
// The package does no I/O: loading and saving are functions.
package report

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Total is what was counted for a zone since the process started.
type Total struct {
	Zone string
	Counts
}

// Options are what a Recorder needs.
type Options struct {
	// Totals returns those of each zone that is served, in order. Unique is
	// ignored: the Recorder counts it.
	Totals func() []Total

	// Listing names the lists that are known to have a subject now.
	Listing func(subject string) []string

	// Load reads what Save kept over a restart; found is false when there is
	// nothing. Save says itself when it fails.
	Load func(name string, v any) (found bool, err error)
	Save func(name string, v any) error

	Log *slog.Logger
}

// Names of what is kept: all that was counted, and the latest hours.
const (
	wholeName  = "report"
	latestName = "report-latest"
)

// Intervals of Run.
const (
	judgeEvery = 2 * time.Second
	judgeAfter = 10 * time.Second // all lists that are asked have answered
	countEvery = time.Minute
	wholeEvery = time.Hour
)

// latestFor is how many hours before this one are kept with it each minute:
// all that can have changed since everything was kept.
const latestFor = 2

// maxPending bounds the listings that wait to be judged; more are not looked
// at for being unique.
const maxPending = 8192

// Recorder counts. Its methods are safe for concurrent use.
type Recorder struct {
	o Options

	mu      sync.Mutex
	history History
	last    map[string]Counts
	pending []found

	// What has changed since something was kept, and since everything was.
	changed, changedWhole bool

	wholeAt time.Time // when everything was kept; only Run's goroutine knows
}

// found is a listing that waits to be judged.
type found struct {
	zone, subject string
	at            time.Time
}

// Open loads what was kept. A file that cannot be read is reported in the
// log, and counting goes on from the other one.
func Open(o Options) *Recorder {
	r := &Recorder{o: o, last: map[string]Counts{}}
	var err error
	if r.history, _, err = Load(o.Load); err != nil {
		o.Log.Warn("figures of the lists are lost in part", slog.Any("error", err))
	}
	return r
}

// Load reads what was kept; found is false when there is nothing. The history
// holds what could be read.
func Load(load func(name string, v any) (bool, error)) (h History, found bool, err error) {
	read := func(name string) (h History, found bool, err error) {
		if found, err = load(name, &h); err != nil {
			return History{}, false, err
		}
		h.mend()
		return h, found, nil
	}
	h, found, err = read(wholeName)
	more, foundMore, errMore := read(latestName)
	h.merge(more)
	return h, found || foundMore, errors.Join(err, errMore)
}

// Listing takes note of a listing, at once.
func (r *Recorder) Listing(zone, subject string) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) < maxPending {
		r.pending = append(r.pending, found{zone, subject, now})
	}
}

// Run counts and saves until ctx is done, and once more then.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	counted := time.Now()
	for {
		select {
		case <-ctx.Done():
			r.judge(time.Now())
			r.count(time.Now())
			r.save(time.Now(), true)
			return
		case now := <-tick.C:
			r.judge(now.Add(-judgeAfter))
			if now.Sub(counted) >= countEvery {
				counted = now
				r.count(now)
				r.save(now, false)
			}
		}
	}
}

// judge counts the listings found until then that are unique.
func (r *Recorder) judge(until time.Time) {
	r.mu.Lock()
	n := 0
	for n < len(r.pending) && !r.pending[n].at.After(until) {
		n++
	}
	due := r.pending[:n:n]
	r.pending = append([]found(nil), r.pending[n:]...)
	r.mu.Unlock()
	for _, f := range due {
		if r.unique(f) {
			r.mu.Lock()
			r.history.add(f.at, f.zone, Counts{Unique: 1})
			r.changed, r.changedWhole = true, true
			r.mu.Unlock()
		}
	}
}

func (r *Recorder) unique(f found) bool {
	return !slices.ContainsFunc(r.o.Listing(f.subject), func(zone string) bool { return zone != f.zone })
}

// count adds what the totals grew by, and returns the zones served.
func (r *Recorder) count(now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var zones []string
	for _, t := range r.o.Totals() {
		zones = append(zones, t.Zone)
		t.Unique = 0
		if more := t.with(r.last[t.Zone], growth); more != (Counts{}) {
			r.history.add(now, t.Zone, more)
			r.changed, r.changedWhole = true, true
		}
		r.last[t.Zone] = t.Counts
	}
	r.history.fold()
	return zones
}

// save keeps the latest hours, and everything when that was long ago or is
// asked for. Nobody who counts waits for the disk.
func (r *Recorder) save(now time.Time, whole bool) {
	whole = whole || now.Sub(r.wholeAt) >= wholeEvery
	name, from, changed := latestName, now.UTC().Truncate(time.Hour).Add(-latestFor*time.Hour), &r.changed
	if whole {
		name, from, changed = wholeName, time.Time{}, &r.changedWhole
	}
	r.mu.Lock()
	if !*changed {
		r.mu.Unlock()
		return
	}
	kept := r.history.from(from)
	r.changed, r.changedWhole = false, r.changedWhole && !whole
	r.mu.Unlock()
	if r.o.Save(name, kept) != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed, r.changedWhole = true, true
	} else if whole {
		r.wholeAt = now
	}
}

// Figures returns those of the time since before now, up to this moment.
// Listings that were found a moment ago are judged by what is known so far.
func (r *Recorder) Figures(since time.Duration) []Figures {
	now := time.Now()
	zones := r.count(now)
	r.mu.Lock()
	out := r.history.Figures(now, since, zones)
	pending := append([]found(nil), r.pending...)
	r.mu.Unlock()
	for _, f := range pending {
		for i := range out {
			if out[i].Zone == f.zone && r.unique(f) {
				out[i].Unique++
			}
		}
	}
	return out
}
