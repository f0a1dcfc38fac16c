package dataset

import (
	"slices"
)

// keys32 is a sorted set of 32-bit keys. Above a few thousand they are kept by
// their upper half, two bytes a key and one index; floor is then a search among
// the handful that share the upper half.
type keys32 struct {
	index []uint32 // 65537 positions in low; nil for small sets
	low   []uint16
	small []uint32 // the keys themselves when index is nil
}

// smallKeys is where the index (256 KiB) begins to pay.
const smallKeys = 1 << 13

// newKeys32 takes sorted, distinct keys.
func newKeys32(n int, key func(int) uint32) keys32 {
	if n < smallKeys {
		k := keys32{small: make([]uint32, n)}
		for i := range n {
			k.small[i] = key(i)
		}
		return k
	}
	k := keys32{index: make([]uint32, 1<<16+1), low: make([]uint16, n)}
	for i := range n {
		k.low[i] = uint16(key(i))
		k.index[key(i)>>16+1]++
	}
	for i := range 1 << 16 {
		k.index[i+1] += k.index[i]
	}
	return k
}

func (k *keys32) size() int { return 4*cap(k.index) + 2*cap(k.low) + 4*cap(k.small) }

// floor returns the position of the greatest key that is at most q, or -1, and
// whether it is q.
func (k *keys32) floor(q uint32) (pos int, exact bool) {
	if k.index == nil {
		n := above(k.small, q)
		return n - 1, n > 0 && k.small[n-1] == q
	}
	begin, low := int(k.index[q>>16]), uint16(q)
	lo, hi := begin, int(k.index[q>>16+1])
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); k.low[m] <= low {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo - 1, lo > begin && k.low[lo-1] == low
}

// table4 answers for IPv4 addresses: single addresses first, since nothing is
// more specific, then disjoint ranges. It is immutable.
type table4 struct {
	exact    keys32
	exactVal column
	from     keys32 // where each range begins; it ends where the next begins
	fromVal  column
}

func (t *table4) find(q uint32) value {
	if i, ok := t.exact.floor(q); ok {
		return t.exactVal.at(i)
	}
	if i, _ := t.from.floor(q); i >= 0 {
		return t.fromVal.at(i)
	}
	return none
}

func (t *table4) size() int {
	return t.exact.size() + t.exactVal.size() + t.from.size() + t.fromVal.size()
}

// builder4 collects the entries of ip4set, ip4trie and ip4tset.
type builder4 struct {
	in      *interner
	singles []uint64 // address << 32 | position in vals, so that sorting keeps the order
	vals    []value  // nil when one value serves all (ip4tset)
	spans   []span
	trie    bool
}

func (b *builder4) addSingle(a uint32, val value) {
	b.singles = append(b.singles, uint64(a)<<32|uint64(len(b.singles)))
	b.vals = append(b.vals, val)
}

// addPrefix takes an entry of ip4trie.
func (b *builder4) addPrefix(lo, hi uint32, bits int, val value) {
	if bits == 32 {
		b.addSingle(lo, val)
		return
	}
	b.spans = append(b.spans, span{uint64(lo), uint64(hi), val, uint8(bits)})
}

// addRange takes an entry of ip4set. How specific a range is goes by octets:
// it is split into whole /8, /16, /24 and single addresses, and each part
// counts on its own level.
func (b *builder4) addRange(lo, hi uint32, val value) {
	for shift := 0; shift < 24; shift += 8 {
		level := uint8(32 - shift)
		if lo>>8 == hi>>8 && hi-lo != 255 {
			b.addLevel(lo, hi, shift, level, val)
			return
		}
		if lo>>8 != hi>>8 {
			if lo&255 != 0 {
				b.addLevel(lo, lo|255, shift, level, val)
				lo += 256
			}
			if hi&255 != 255 {
				b.addLevel(hi&^255, hi, shift, level, val)
				hi -= 256
			}
		}
		if lo>>8 > hi>>8 {
			return
		}
		lo, hi = lo>>8, hi>>8
	}
	b.addLevel(lo, hi, 24, 8, val)
}

// addLevel takes the whole blocks lo to hi of one level.
func (b *builder4) addLevel(lo, hi uint32, shift int, level uint8, val value) {
	if level == 32 && hi-lo < 4 { // singles take less room than two range ends
		for a := lo; ; a++ {
			b.addSingle(a, val)
			if a == hi {
				return
			}
		}
	}
	b.spans = append(b.spans, span{uint64(lo) << shift, uint64(hi)<<shift | (1<<shift - 1), val, level})
}

// done builds the table. It takes the builder apart to free what it can early.
func (b *builder4) done() *table4 {
	t := &table4{}
	var over keys32 // ranges on the level of single addresses, which add to them
	var overVal column
	if b.trie {
		b.spans = dropRepeats(b.spans)
	} else if wide := slices.DeleteFunc(slices.Clone(b.spans), func(s span) bool { return s.level != 32 }); len(wide) > 0 {
		over, overVal = packSteps(flatten(wide, b.in))
	}
	t.from, t.fromVal = packSteps(flatten(b.spans, b.in))
	b.spans = nil

	slices.Sort(b.singles)
	n := 0 // singles[:n] are done: distinct, the value in the lower half
	var group []value
	for i := 0; i < len(b.singles); {
		a := uint32(b.singles[i] >> 32)
		group = group[:0]
		for ; i < len(b.singles) && uint32(b.singles[i]>>32) == a; i++ {
			if v := b.vals[uint32(b.singles[i])]; len(group) == 0 || !b.trie && group[len(group)-1] != v {
				group = append(group, v)
			}
		}
		if p, _ := over.floor(a); p >= 0 && overVal.at(p) != none {
			group = append(group, overVal.at(p))
		}
		b.singles[n] = uint64(a)<<32 | uint64(b.in.merge(group))
		n++
	}
	vals := b.vals[:n]
	for i := range vals {
		vals[i] = uint32(b.singles[i])
	}
	t.exact = newKeys32(n, func(i int) uint32 { return uint32(b.singles[i] >> 32) })
	t.exactVal = newColumn(vals)
	return t
}

// packSteps turns steps over 32-bit keys into their searchable form.
func packSteps(steps []step) (keys32, column) {
	vals := make([]value, len(steps))
	for i, s := range steps {
		vals[i] = s.val
	}
	if n := len(steps); n > 0 && steps[n-1].from > 1<<32-1 { // the end of the address space
		steps, vals = steps[:n-1], vals[:n-1]
	}
	return newKeys32(len(steps), func(i int) uint32 { return uint32(steps[i].from) }), newColumn(vals)
}
