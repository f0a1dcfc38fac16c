package dataset

import "math/bits"

// nameTable answers for domain names: the name itself first, then the longest
// of its parents that has a wildcard. One entry keeps both values of a name.
// The table is immutable when built.
type nameTable struct {
	words // the entries' names
	plain column
	wild  column
	// Which numbers of labels occur, bit by bit, so that most names are
	// settled without a look at the table. A name has at most 127 labels.
	plainLabels, wildLabels [2]uint64
}

func hasLabels(set *[2]uint64, n int) bool { return n < 128 && set[n>>6]>>(n&63)&1 != 0 }

// find returns the value for a name of n labels, and the name of the entry.
func (t *nameTable) find(name []byte, n int) (value, []byte) {
	if hasLabels(&t.plainLabels, n) {
		if at, _, ok := t.slot(name); ok {
			if v := t.plain.at(int(t.number(at))); v != none {
				return v, name
			}
		}
	}
	for n > 1 && t.wildLabels != [2]uint64{} {
		name = name[int(name[0])+1:]
		if n--; !hasLabels(&t.wildLabels, n) {
			continue
		}
		if at, _, ok := t.slot(name); ok {
			if v := t.wild.at(int(t.number(at))); v != none {
				return v, name
			}
		}
	}
	return none, nil
}

func (t *nameTable) size() int { return t.words.size() + t.plain.size() + t.wild.size() }

// nameBuilder collects the entries of dnset.
type nameBuilder struct {
	in          *interner
	t           *nameTable
	plain, wild []value
	more        map[uint64][]value // further values: entry << 1 | 1 if wild
}

func newNameBuilder(in *interner) *nameBuilder {
	return &nameBuilder{in: in, t: &nameTable{words: newWords()}, more: map[uint64][]value{}}
}

// add takes one entry; name is lower case and not empty.
func (b *nameBuilder) add(name []byte, plain, wild bool, val value) {
	t := b.t
	i := t.words.add(name)
	if int(i) == len(b.plain) {
		b.plain, b.wild = append(b.plain, none), append(b.wild, none)
	}
	labels, _ := countLabels(name)
	if plain {
		t.plainLabels[labels>>6] |= 1 << (labels & 63)
		b.set(b.plain, i, 0, val)
	}
	if wild {
		t.wildLabels[labels>>6] |= 1 << (labels & 63)
		b.set(b.wild, i, 1, val)
	}
}

func (b *nameBuilder) set(vals []value, i uint32, wild uint64, val value) {
	switch vals[i] {
	case none:
		vals[i] = val
	case val:
	default:
		key := uint64(i)<<1 | wild
		b.more[key] = append(b.more[key], val)
	}
}

func (b *nameBuilder) done() *nameTable {
	for key, vals := range b.more {
		to := &b.plain[key>>1]
		if key&1 != 0 {
			to = &b.wild[key>>1]
		}
		*to = b.in.merge(append(vals, *to))
	}
	t := b.t
	if n := 1 << bits.Len(uint(len(b.plain)*4/3+1)); n < len(t.slots) {
		t.rehash(n)
	}
	t.trim()
	t.plain, t.wild = newColumn(b.plain), newColumn(b.wild)
	return t
}
