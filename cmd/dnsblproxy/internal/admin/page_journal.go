package admin

import (
	"slices"
	"strings"
	"sync"
)

// Journal remembers the last decisions, in bounded memory. It is safe for
// concurrent use.
type Journal struct {
	mu   sync.Mutex
	ring []Decision // grows to its capacity; then next is the oldest
	next int
}

// NewJournal remembers up to size decisions; size is at least 1.
func NewJournal(size int) *Journal { return &Journal{ring: make([]Decision, 0, size)} }

// Add notes a decision in place of the oldest one. The journal keeps d's
// slices; nobody may write to them afterwards.
func (j *Journal) Add(d Decision) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ring) < cap(j.ring) {
		j.ring = append(j.ring, d)
		return
	}
	j.ring[j.next] = d
	j.next = (j.next + 1) % len(j.ring)
}

// search returns up to most decisions, the latest first, that hold text
// anywhere and have that verdict ("" stands for any), how many there are of
// them, and how many are remembered in all.
func (j *Journal) search(text, verdict string, most int) (found []Decision, matches, kept int) {
	text = strings.ToLower(strings.TrimSpace(text))
	j.mu.Lock()
	defer j.mu.Unlock()
	kept = len(j.ring)
	for i := range j.ring {
		d := &j.ring[(j.next+kept-1-i)%kept]
		if verdict != "" && d.Verdict != verdict || !d.holds(text) {
			continue
		}
		matches++
		if len(found) < most {
			found = append(found, *d)
		}
	}
	return found, matches, kept
}

// holds reports whether text, lower case, stands in one of d's fields.
func (d *Decision) holds(text string) bool {
	fields := append([]string{d.Subject, d.Zone, d.Client, d.Verdict, d.Rule, d.Source, d.Reason}, d.Codes...)
	return slices.ContainsFunc(fields, func(field string) bool { return strings.Contains(strings.ToLower(field), text) })
}
