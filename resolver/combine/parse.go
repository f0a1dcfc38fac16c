package combine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dnsblproxy/resolver/rbl"
)

// weight is what one key of the configuration says.
type weight struct {
	key   string // as it was written
	all   bool   // the zone's own weight: every code
	codes rbl.CodeSet
	span  span
	value int
}

// maxWeight bounds a weight either way, so that no sum overflows.
const maxWeight = 1_000_000

// Parse reads weights by key: "zone", or "zone=codes" with any one spelling of
// codes that rbl.ParseCodeSet reads. Its error names every bad key.
func Parse(weights map[string]int, threshold int) (*Plan, error) {
	var errs []error
	if threshold < 1 || threshold > maxWeight {
		errs = append(errs, fmt.Errorf("threshold %d is not between 1 and %d", threshold, maxWeight))
	}
	if len(weights) == 0 {
		errs = append(errs, errors.New("no weights; write { \"zen.spamhaus.org\" = 4 }"))
	}
	byZone := map[string][]weight{}
	for _, key := range slices.Sorted(maps.Keys(weights)) {
		zone, w, err := parseWeight(key, weights[key])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		byZone[zone] = append(byZone[zone], w)
	}
	p := &Plan{threshold: threshold}
	for _, zone := range slices.Sorted(maps.Keys(byZone)) {
		m := member{zone: zone, weights: byZone[zone]}
		slices.SortStableFunc(m.weights, func(a, b weight) int { return cmp.Compare(a.span.size, b.span.size) })
		if err := m.check(); err != nil {
			errs = append(errs, err)
			continue
		}
		m.bound()
		p.members = append(p.members, m)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func parseWeight(key string, value int) (zone string, w weight, err error) {
	zone, codes, some := strings.Cut(key, "=")
	zone = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(zone), "."))
	if zone == "" {
		return "", w, fmt.Errorf("weight %q names no zone", key)
	}
	if value < -maxWeight || value > maxWeight {
		return "", w, fmt.Errorf("weight %q: %d is not between %d and %d", key, value, -maxWeight, maxWeight)
	}
	w = weight{key: key, all: !some, value: value, span: span{size: everyCode + 1}}
	if some {
		if w.codes, err = rbl.ParseCodeSet([]string{strings.TrimSpace(codes)}); err != nil {
			return "", w, fmt.Errorf("weight %q: %w", key, err)
		}
		w.span.first, w.span.last, w.span.size = w.codes.Span()
	}
	return zone, w, nil
}

// check refuses two weights of which neither is more specific than the other
// although they share a code.
func (m *member) check() error {
	for i, a := range m.weights {
		for _, b := range m.weights[:i] {
			if a.span.size != b.span.size {
				continue
			}
			if a.all {
				return fmt.Errorf("weights %q and %q are for the same zone", b.key, a.key)
			}
			if c, ok := shared(a, b); ok {
				return fmt.Errorf("weights %q and %q are equally specific and both cover %s; take it out of one", b.key, a.key, c)
			}
		}
	}
	return nil
}

// shared returns a code that is in both sets.
func shared(a, b weight) (rbl.Code, bool) {
	for c := max(a.span.first, b.span.first); c <= min(a.span.last, b.span.last); c++ {
		if a.codes.Contains(c) && b.codes.Contains(c) {
			return c, true
		}
	}
	return 0, false
}

// maxWalk bounds the search for a code that makes a weight count.
const maxWalk = 1 << 16

// bound sets what the member can add: all of its positive weights, or all of
// its negative ones, since one answer may hold many codes. A weight whose codes
// all belong to more specific ones adds nothing.
func (m *member) bound() {
	for i := range m.weights {
		w := &m.weights[i]
		if !m.reachable(w) {
			continue
		}
		m.min, m.max = m.min+min(w.value, 0), m.max+max(w.value, 0)
	}
}

func (m *member) reachable(w *weight) bool {
	if w.all || int(w.span.last-w.span.first) >= maxWalk {
		return true
	}
	for c := w.span.first; c <= w.span.last; c++ {
		if m.find(c) == w {
			return true
		}
	}
	return false
}

// span is where a set of codes lies, and how many it holds.
type span struct {
	first, last rbl.Code
	size        int
}

// everyCode is how many codes there are: 127.0.0.0/8.
const everyCode = 1 << 24
