package overrides

import (
	"slices"
	"sort"
	"strings"
)

// cover tells whether entries already open what another one would, for at
// least as long: by the same entry, or by others without an end.
type cover struct {
	entries []Entry          // by line
	exact   map[opened]Entry // the one that ends last
	below   map[string]Entry // domains with all below, without end
	ranges  *content         // ranges without end
}

// opened is what an entry opens.
type opened struct {
	r Range
	d Domain
}

func coverOf(entries []Entry) *cover {
	c := &cover{entries: entries, exact: make(map[opened]Entry), below: make(map[string]Entry)}
	var endless []Entry
	for _, e := range entries {
		c.add(e)
		switch {
		case !e.Until.IsZero():
		case e.Domain.Name == "":
			endless = append(endless, e)
		case e.Domain.Below:
			c.below[e.Domain.Name] = e
		}
	}
	c.ranges = contentOf(endless)
	return c
}

// add notes an entry as it is; what lies within it is not noted.
func (c *cover) add(e Entry) {
	k := opened{e.Range, e.Domain}
	if old, ok := c.exact[k]; !ok || !old.lasts(e) {
		c.exact[k] = e
	}
}

// lasts reports whether e ends no earlier than o.
func (e Entry) lasts(o Entry) bool {
	return e.Until.IsZero() || !o.Until.IsZero() && !e.Until.Before(o.Until)
}

// covers returns the entry that covers e, or the first of several that do so
// together.
func (c *cover) covers(e Entry) (by Entry, ok bool) {
	if same, there := c.exact[opened{e.Range, e.Domain}]; there && same.lasts(e) {
		return same, true
	}
	if e.Domain.Name != "" {
		return c.coversDomain(e.Domain)
	}
	line := 0
	for _, y := range c.ranges.layers {
		if e.Range.First.Is4() {
			line, ok = coveredBy(y.v4, v4Of(e.Range.First), v4Of(e.Range.Last))
		} else {
			line, ok = coveredBy(y.v6, v6Of(e.Range.First), v6Of(e.Range.Last))
		}
	}
	if !ok {
		return Entry{}, false
	}
	i, _ := slices.BinarySearchFunc(c.entries, line, func(e Entry, line int) int { return e.Line - line })
	return c.entries[i], true
}

func (c *cover) coversDomain(d Domain) (Entry, bool) {
	for name, more := d.Name, true; more; _, name, more = strings.Cut(name, ".") {
		if by, ok := c.below[name]; ok {
			return by, true
		}
	}
	return Entry{}, false
}

// coveredBy reports whether spans, sorted and disjoint, hold every address
// from lo to hi, and returns the line of the one that holds lo.
func coveredBy[A point[A]](spans []span[A], lo, hi A) (line int, ok bool) {
	i := sort.Search(len(spans), func(i int) bool { return lo.less(spans[i].lo) }) - 1
	if i < 0 || spans[i].hi.less(lo) {
		return 0, false
	}
	line = int(spans[i].line)
	for spans[i].hi.less(hi) {
		if i+1 == len(spans) || spans[i].hi.next() != spans[i+1].lo {
			return 0, false
		}
		i++
	}
	return line, true
}
