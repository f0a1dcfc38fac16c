package overrides

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// loaded is a rule with the contents of its sources, as build takes it.
type loaded struct {
	rule    *Rule
	sources []loadedSource
	except  *content // may be nil
}

type loadedSource struct {
	source  Source
	content *content // nil: nothing loaded yet
}

// build compiles rules, in configuration order, into a table. Rules that are
// disabled have no part in it. What has ended does, for the clock may be set back,
// but is not counted.
func build(rules []loaded, now int64) *Table {
	b := builder{now: now, ids: make(map[string]match), t: &Table{sources: make([]tableSource, 1)}}
	for _, r := range rules {
		b.addRule(r)
	}
	b.cut, b.counted = make([]uint32, len(b.t.rules)), make([]uint32, len(b.t.rules))
	weave(&b, b.items4, size4, false, b.t.a4.add)
	b.items4 = nil
	b.t.a4.seal()
	weave(&b, b.items6, size6, true, b.t.a6.add)
	b.items6 = nil
	b.t.a6.seal()
	b.addDomains()
	b.t.matches = slices.Clip(b.t.matches)
	return b.t
}

type builder struct {
	now     int64
	t       *Table
	lanes   []lane
	items4  []item[v4]
	items6  []item[v6]
	domains []builderDomain
	ids     map[string]match // what stands for several matches, by these
	scratch []match
	key     []byte

	// By rule, the latest range that an exception cut out of it, and the latest
	// that was counted for it; turn numbers the ranges from 1.
	cut, counted []uint32
	turn         uint32
}

// lane is one layer of one source, or the exceptions of one rule. Ranges in
// one lane do not overlap, so at most one item per lane is active.
type lane struct {
	rule   uint32
	source uint32
	end    uint32
	except bool
}

// item is a range on its way into the table.
type item[A point[A]] struct {
	lo, hi A
	line   uint32
	lane   uint32
}

type builderDomain struct {
	domainEntry
	source uint32
}

func (b *builder) addRule(l loaded) {
	if !l.rule.Enabled {
		return
	}
	end := l.rule.end()
	rule := uint32(len(b.t.rules))
	b.t.rules = append(b.t.rules, tableRule{rule: l.rule})
	for _, s := range l.sources {
		if s.content != nil {
			b.addSource(rule, s, end)
		}
	}
	if l.except != nil {
		for _, y := range l.except.layers {
			b.addLayer(lane{rule: rule, except: true}, y)
		}
	}
}

func ended(end uint32, now int64) bool { return end != 0 && int64(end) <= now }

func (b *builder) addSource(rule uint32, s loadedSource, ruleEnd uint32) {
	ids := map[bool]uint32{}
	id := func(live bool) uint32 {
		n, ok := ids[live]
		if !ok {
			n = uint32(len(b.t.sources))
			b.t.sources = append(b.t.sources, tableSource{rule, live, s.source})
			ids[live] = n
		}
		return n
	}
	for _, y := range s.content.layers {
		b.addLayer(lane{rule: rule, source: id(y.live), end: earlier(y.end, ruleEnd)}, y)
	}
	for _, d := range s.content.domains {
		d.end = earlier(d.end, ruleEnd)
		b.domains = append(b.domains, builderDomain{d, id(false)})
	}
}

// earlier returns the earlier of two ends, 0 being never.
func earlier(x, y uint32) uint32 {
	if x == 0 || y != 0 && y < x {
		return y
	}
	return x
}

func (b *builder) addLayer(l lane, y layer) {
	n := uint32(len(b.lanes))
	b.lanes = append(b.lanes, l)
	var p pace
	b.items4 = slices.Grow(b.items4, len(y.v4))
	for _, s := range y.v4 {
		p.step()
		b.items4 = append(b.items4, item[v4]{s.lo, s.hi, s.line, n})
	}
	for _, s := range y.v6 {
		p.step()
		b.items6 = append(b.items6, item[v6]{s.lo, s.hi, s.line, n})
	}
}

// overlay sorts items and calls emit for every maximal range over which the
// same items are active, in ascending order.
func overlay[A point[A]](items []item[A], emit func(lo, hi A, active []item[A])) {
	var p pace
	byStart := func(x, y item[A]) int {
		p.step()
		return compare(x.lo, y.lo)
	}
	if !slices.IsSortedFunc(items, byStart) {
		slices.SortFunc(items, byStart)
	}
	var active []item[A]
	var pos A
	for i := 0; i < len(items) || len(active) > 0; {
		p.step()
		if len(active) == 0 {
			pos = items[i].lo
		}
		for i < len(items) && items[i].lo == pos {
			active = append(active, items[i])
			i++
		}
		stop := active[0].hi
		for _, it := range active[1:] {
			if it.hi.less(stop) {
				stop = it.hi
			}
		}
		if i < len(items) && !stop.less(items[i].lo) {
			stop = items[i].lo.prev()
		}
		emit(pos, stop, active)
		if stop == stop.last() {
			return
		}
		active = slices.DeleteFunc(active, func(it item[A]) bool { return it.hi == stop })
		pos = stop.next()
	}
}

// weave calls add for every maximal range with the same matches, in ascending order.
func weave[A point[A]](b *builder, items []item[A], size func(lo, hi A) count, six bool, add func(lo, hi A, m match)) {
	var lo, hi A
	var m match
	flush := func() {
		if m != (match{}) {
			add(lo, hi, m)
			b.t.intervals++
		}
	}
	overlay(items, func(first, last A, active []item[A]) {
		next := matchOf(b, active, size(first, last), six)
		if next != m || m != (match{}) && hi.next() != first {
			flush()
			lo, m = first, next
		}
		hi = last
	})
	flush()
}

// matchOf returns what stands for the active items less those of rules that
// have an exception here, and counts the addresses for the rules.
func matchOf[A point[A]](b *builder, active []item[A], size count, six bool) match {
	b.turn++
	for _, it := range active {
		if l := &b.lanes[it.lane]; l.except {
			b.cut[l.rule] = b.turn
		}
	}
	ms := b.scratch[:0]
	for _, it := range active {
		if l := &b.lanes[it.lane]; !l.except && b.cut[l.rule] != b.turn {
			ms = append(ms, match{l.source, it.line, l.end})
		}
	}
	b.scratch = ms
	b.count(ms, size, six)
	return b.match(ms)
}

// match returns what stands for these matches, the same for the same ones.
func (b *builder) match(ms []match) match {
	switch len(ms) {
	case 0:
		return match{}
	case 1:
		return ms[0]
	}
	slices.SortFunc(ms, func(x, y match) int {
		return cmp.Or(cmp.Compare(x.source, y.source), cmp.Compare(x.line, y.line), cmp.Compare(x.end, y.end))
	})
	b.key = b.key[:0]
	for _, m := range ms {
		b.key = binary.LittleEndian.AppendUint32(b.key, m.source)
		b.key = binary.LittleEndian.AppendUint32(b.key, m.line)
		b.key = binary.LittleEndian.AppendUint32(b.key, m.end)
	}
	m, ok := b.ids[string(b.key)]
	if !ok {
		m = match{several, uint32(len(b.t.matches)), uint32(len(ms))}
		b.t.matches = append(b.t.matches, ms...)
		b.ids[string(b.key)] = m
	}
	return m
}

// count adds size once to every rule that has a fixed match now.
func (b *builder) count(ms []match, size count, six bool) {
	for _, m := range ms {
		src := &b.t.sources[m.source]
		if src.live || ended(m.end, b.now) || b.counted[src.rule] == b.turn {
			continue
		}
		b.counted[src.rule] = b.turn
		r := &b.t.rules[src.rule]
		if six {
			r.n6 = r.n6.add(size)
		} else {
			r.n4 = r.n4.add(size)
		}
	}
}

// addDomains gives every domain named anywhere its two sets: a name matches
// its own entries, exact or not, and those with a dot of all names above. Of lines
// that say the same the first counts.
func (b *builder) addDomains() {
	if len(b.domains) == 0 {
		return
	}
	entries := make(map[string][]builderDomain)
	for _, d := range b.domains {
		again := func(o builderDomain) bool { return o.source == d.source && o.below == d.below && o.end == d.end }
		if !slices.ContainsFunc(entries[d.wire], again) {
			entries[d.wire] = append(entries[d.wire], d)
		}
	}
	b.t.nodes = make(map[string]node, len(entries))
	for name := range entries {
		var self, below []match
		for i := 0; i < len(name); i += 1 + int(name[i]) {
			for _, d := range entries[name[i:]] {
				m := match{d.source, d.line, d.end}
				if d.below {
					below = append(below, m)
				}
				if d.below || i == 0 {
					self = append(self, m)
				}
			}
		}
		b.t.nodes[name] = node{b.match(self), b.match(below)}
	}
}
