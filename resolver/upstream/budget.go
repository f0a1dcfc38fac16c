package upstream

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// Spent is how much of a budget a day has used, and the day counted before it:
// the clock may be set back to that.
type Spent struct {
	DaySpent
	Before DaySpent
}

// DaySpent is how much one day has used.
type DaySpent struct {
	Day  int64 // days since 1970-01-01, UTC
	Used uint64
}

// Budget is the figures of a list's daily bound.
type Budget struct {
	Limit    uint64 // questions a day
	Used     uint64 // today
	Forecast uint64 // used at the day's end if it goes on as so far
}

const (
	day = 24 * time.Hour

	spareFifths = 4 // of five: background questions stop here
	subnetPart  = 10

	// maxSubnets bounds the subnets counted one by one. Counts are too low
	// by at most a 1024th of all questions then (Misra and Gries).
	maxSubnets = 1024
)

// budget counts the questions of a day.
type budget struct {
	limit uint64

	mu      sync.Mutex
	spent   Spent
	saved   Spent
	told    int // 1: four fifths were reported, 2: all
	subnets map[uint64]uint64
}

func newBudget(limit uint64, load func() Spent) *budget {
	b := &budget{limit: limit, subnets: make(map[uint64]uint64)}
	if load != nil {
		b.spent = load()
	}
	b.roll(time.Now())
	b.saved = b.spent
	return b
}

func dayOf(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// take counts one question, if it may be asked. report is true when a bound
// was passed that nobody has been told of today.
func (b *budget) take(now time.Time, subject netip.Addr, background bool) (ok, report bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll(now)
	if background && b.spent.Used*5 >= b.limit*spareFifths || b.spent.Used >= b.limit {
		return false, b.tell()
	}
	if subject.IsValid() {
		key := subnet(subject)
		if b.subnets[key] >= max(b.limit/subnetPart, 1) {
			return false, false
		}
		b.count(key)
	}
	b.spent.Used++
	return true, b.tell()
}

// roll begins a new day, or goes on with the one before if the clock was wrong.
func (b *budget) roll(now time.Time) {
	d := dayOf(now)
	if d == b.spent.Day {
		return
	}
	b.spent.DaySpent, b.spent.Before = b.spent.Before, b.spent.DaySpent
	if b.spent.Day != d {
		b.spent.DaySpent = DaySpent{Day: d}
	}
	b.told = 0
	clear(b.subnets)
}

// tell reports once a day each that four fifths, and all, are spent.
func (b *budget) tell() bool {
	level := 0
	switch {
	case b.spent.Used >= b.limit:
		level = 2
	case b.spent.Used*5 >= b.limit*spareFifths:
		level = 1
	}
	if level <= b.told {
		return false
	}
	b.told = level
	return true
}

// count adds a question to a subnet's; when there are too many subnets, each
// loses one.
func (b *budget) count(key uint64) {
	if _, ok := b.subnets[key]; ok || len(b.subnets) < maxSubnets {
		b.subnets[key]++
		return
	}
	for k, n := range b.subnets {
		if n <= 1 {
			delete(b.subnets, k)
		} else {
			b.subnets[k] = n - 1
		}
	}
}

// subnet returns the /24 or /64 of an address as a number; IPv4-mapped
// addresses count as IPv4.
func subnet(a netip.Addr) uint64 {
	a = a.Unmap()
	if a.Is4() {
		v := a.As4()
		return uint64(binary.BigEndian.Uint32(v[:]) >> 8) // no global IPv6 net begins with 40 zeros
	}
	v := a.As16()
	return binary.BigEndian.Uint64(v[:8])
}

func (b *budget) figures(now time.Time) Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll(now)
	f := Budget{Limit: b.limit, Used: b.spent.Used}
	gone := max(now.Sub(now.UTC().Truncate(day)), 10*time.Minute)
	f.Forecast = uint64(float64(f.Used) * float64(day) / float64(gone))
	return f
}

// unsaved returns what is spent, and whether that is not what was kept.
func (b *budget) unsaved() (s Spent, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent, b.spent != b.saved
}

func (b *budget) kept(s Spent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved = s
}

// spend takes one question from the list's budget and reports what is passed.
func (l *List) spend(a Ask) bool {
	now := time.Now()
	ok, report := l.budget.take(now, a.Subject, a.Background)
	if report && l.opts.OnBudget != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.opts.OnBudget(l.budget.figures(now))
	}
	return ok
}

// Budget returns the figures of today; zero without a bound.
func (l *List) Budget() Budget {
	if l.budget == nil {
		return Budget{}
	}
	return l.budget.figures(time.Now())
}

// Spent is what Load gives to a list that takes this one's place; ok is false
// without a bound.
func (l *List) Spent() (s Spent, ok bool) {
	if l.budget == nil {
		return Spent{}, false
	}
	s, _ = l.budget.unsaved()
	return s, true
}
