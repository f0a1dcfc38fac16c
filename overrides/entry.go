package overrides

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entry is one line of a rule file: a range of addresses or a domain, and
// perhaps the day after which it does nothing.
type Entry struct {
	Range  Range     // zero for a domain
	Domain Domain    // zero for addresses
	Until  time.Time // a day, in UTC: elsewhere it may have no midnight
	Line   int       // 1-based; 0 for none
}

// String writes the entry as ParseEntry reads it, without the line.
func (e Entry) String() string {
	s := e.Range.String()
	if e.Domain.Name != "" {
		s = e.Domain.String()
	}
	if !e.Until.IsZero() {
		s += " until " + e.Until.Format(time.DateOnly)
	}
	return s
}

// Ended reports whether the last day on which the entry counts is over at t.
func (e Entry) Ended(t time.Time) bool { return ended(endOf(e.Until), t.Unix()) }

// Overlaps reports whether something is in both e and o.
func (e Entry) Overlaps(o Entry) bool {
	if e.Domain.Name == "" || o.Domain.Name == "" {
		return e.Domain == o.Domain && e.Range.meets(o.Range)
	}
	return e.Domain.Name == o.Domain.Name ||
		e.Domain.Below && strings.HasSuffix(o.Domain.Name, "."+e.Domain.Name) ||
		o.Domain.Below && strings.HasSuffix(e.Domain.Name, "."+o.Domain.Name)
}

// ParseEntry reads "WHAT [until 2027-03-31]", WHAT being any spelling of
// ParseRange or ParseDomain. The date is the last day on which the entry
// counts, by the machine's local time.
func ParseEntry(s string) (Entry, error) {
	what, until, err := cutUntil(strings.TrimSpace(s))
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Until: until}
	e.Range, err = ParseRange(what)
	if err == nil {
		return e, nil
	}
	if !domainLike(what) {
		return Entry{}, err
	}
	e.Domain, err = ParseDomain(what)
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// domainLike tells what was meant by an entry that is no range, so that the
// message speaks of that.
func domainLike(s string) bool {
	if strings.ContainsAny(s, ":/ \t") {
		return false
	}
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "*.") || !ascii(s) {
		return true
	}
	const ofAddresses = "0123456789.-xX" // with slips; one top-level domain is all x
	return strings.Contains(s, ".") && strings.Trim(s, ofAddresses) != "" || strings.HasSuffix(strings.ToLower(s), ".xxx")
}

// cutUntil splits the "until DATE" off the end of an entry.
func cutUntil(s string) (what string, until time.Time, err error) {
	fields := strings.Fields(s)
	i := slices.Index(fields, "until")
	if i < 0 {
		return s, time.Time{}, nil
	}
	if i == 0 || i != len(fields)-2 {
		return "", time.Time{}, fmt.Errorf("%q has no single date behind until; write it like 192.0.2.7 until 2027-03-31", s)
	}
	until, err = ParseDay(fields[i+1])
	if err != nil {
		return "", time.Time{}, err
	}
	return strings.Join(fields[:i], " "), until, nil
}

// ParseDay reads a day, in UTC. The year 1, with which some programs mean no date
// at all, is none.
func ParseDay(s string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil || day.Year() < 1970 {
		return time.Time{}, fmt.Errorf("%q is no date; write it like 2027-03-31", s)
	}
	return day, nil
}

// endOf returns the moment, in seconds since 1970, at which an entry that
// counts through day ends by the machine's local time; 0 if it never does. Days
// beyond the year 2106 are never.
func endOf(day time.Time) uint32 {
	if day.IsZero() {
		return 0
	}
	y, m, d := day.Date()
	next := time.Date(y, m, d+1, 0, 0, 0, 0, time.Local)
	if next.Day() == d { // the next day has no midnight
		next = next.Add(time.Hour)
	}
	end := max(next.Unix(), 1)
	if end > 1<<32-1 {
		return 0
	}
	return uint32(end)
}
