package dataset

import (
	"cmp"
	"math"
	"slices"
)

// span is a range of keys with a value. Of the spans that cover a key, those
// of the highest level count; they add up when there are several.
type span struct {
	lo, hi uint64 // inclusive
	val    value
	level  uint8 // up to 128
}

// step says that val holds from key on, up to the next step.
type step struct {
	from uint64
	val  value
}

// layer counts the spans of one level that cover the current key, by value.
type layer struct {
	level uint8
	vals  []value // ascending
	count []int
}

func (l *layer) add(val value, by int) {
	i, ok := slices.BinarySearch(l.vals, val)
	if !ok {
		l.vals, l.count = slices.Insert(l.vals, i, val), slices.Insert(l.count, i, 0)
	}
	if l.count[i] += by; l.count[i] == 0 {
		l.vals = slices.Delete(l.vals, i, i+1)
		l.count = slices.Delete(l.count, i, i+1)
	}
}

// flatten turns spans that may cover one another into disjoint steps, in order
// of their keys; what no span covers is none. spans is reordered.
func flatten(spans []span, in *interner) []step {
	// Among many that begin and end together, values come and go at the layer's end.
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.val, b.val)) })
	ends := make([]uint32, len(spans))
	for i := range ends {
		ends[i] = uint32(i)
	}
	slices.SortFunc(ends, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(spans[a].hi, spans[b].hi), cmp.Compare(spans[b].val, spans[a].val))
	})

	var (
		steps  []step
		layers []layer // those with spans, the highest level last
		begun  int
		done   int
		buf    []value
	)
	for done < len(ends) {
		var at uint64
		// What ended before the next beginning comes first: its key is hi+1.
		end := spans[ends[done]].hi
		if begun < len(spans) && spans[begun].lo <= end {
			at = spans[begun].lo
		} else {
			if end == math.MaxUint64 {
				break // covered up to the last key there is
			}
			at = end + 1
		}
		for ; done < len(ends) && spans[ends[done]].hi < at; done++ {
			s := spans[ends[done]]
			layers = count(layers, s.level, s.val, -1)
		}
		for ; begun < len(spans) && spans[begun].lo == at; begun++ {
			layers = count(layers, spans[begun].level, spans[begun].val, +1)
		}
		val := none
		if len(layers) > 0 {
			vals := layers[len(layers)-1].vals // of records, the first of which merge takes
			buf = append(buf[:0], vals[:min(len(vals), maxSet)]...)
			val = in.merge(buf)
		}
		if len(steps) == 0 || steps[len(steps)-1].val != val {
			steps = append(steps, step{at, val})
		}
	}
	return steps
}

// count adds a span to its layer, or takes it away.
func count(layers []layer, level uint8, val value, by int) []layer {
	i, ok := slices.BinarySearchFunc(layers, level, func(l layer, level uint8) int { return cmp.Compare(l.level, level) })
	if !ok {
		layers = slices.Insert(layers, i, layer{level: level})
	}
	layers[i].add(val, by)
	if len(layers[i].vals) == 0 {
		layers = slices.Delete(layers, i, i+1)
	}
	return layers
}

// dropRepeats keeps the first of the spans with the same keys and level, in
// the order in which they were read: a prefix in a trie has one value.
func dropRepeats(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.level, b.level))
	})
	return slices.CompactFunc(spans, func(a, b span) bool { return a.lo == b.lo && a.level == b.level })
}
