package dataset

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// nameTable answers for domain names: the name itself first, then the longest
// of its parents that has a wildcard. One entry keeps both values of a name.
// The table is a hash with open addressing over packed names, immutable when
// built.
type nameTable struct {
	seed maphash.Seed
	// A slot holds an entry's number plus one, 0 is free. The bits that the
	// number does not need are the hash's, so that hardly any name is read
	// for nothing: each costs two cache misses.
	slots []uint32
	off   []uint32 // entry i's name is blob[off[i]:off[i+1]]
	blob  []byte
	plain column
	wild  column
	// Which numbers of labels occur, bit by bit, so that most names are
	// settled without a look at the table. A name has at most 127 labels.
	plainLabels, wildLabels [2]uint64
}

func (t *nameTable) name(i uint32) []byte { return t.blob[t.off[i]:t.off[i+1]] }

// slot finds the name's entry, or where it belongs and with what hash bits.
func (t *nameTable) slot(name []byte) (at, tag uint32, found bool) {
	mask := uint32(len(t.slots) - 1)
	h := maphash.Bytes(t.seed, name)
	tag = uint32(h>>32) &^ mask
	for at = uint32(h) & mask; t.slots[at] != 0; at = (at + 1) & mask {
		if t.slots[at]&^mask == tag && bytes.Equal(t.name(t.entry(at)), name) {
			return at, tag, true
		}
	}
	return at, tag, false
}

// entry is the number of the entry in a slot that is taken.
func (t *nameTable) entry(at uint32) uint32 { return t.slots[at]&uint32(len(t.slots)-1) - 1 }

func hasLabels(set *[2]uint64, n int) bool { return n < 128 && set[n>>6]>>(n&63)&1 != 0 }

// find returns the value for a name of n labels, and the name of the entry.
func (t *nameTable) find(name []byte, n int) (value, []byte) {
	if hasLabels(&t.plainLabels, n) {
		if at, _, ok := t.slot(name); ok {
			if v := t.plain.at(int(t.entry(at))); v != none {
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
			if v := t.wild.at(int(t.entry(at))); v != none {
				return v, name
			}
		}
	}
	return none, nil
}

func (t *nameTable) size() int {
	return 4*cap(t.slots) + 4*cap(t.off) + cap(t.blob) + t.plain.size() + t.wild.size()
}

// nameBuilder collects the entries of dnset.
type nameBuilder struct {
	in          *interner
	t           *nameTable
	plain, wild []value
	more        map[uint64][]value // further values: entry << 1 | 1 if wild
}

func newNameBuilder(in *interner) *nameBuilder {
	t := &nameTable{seed: maphash.MakeSeed(), slots: make([]uint32, 64), off: []uint32{0}}
	return &nameBuilder{in: in, t: t, more: map[uint64][]value{}}
}

// add takes one entry; name is lower case and not empty.
func (b *nameBuilder) add(name []byte, plain, wild bool, val value) {
	t := b.t
	at, tag, found := t.slot(name)
	if !found {
		b.plain, b.wild = append(b.plain, none), append(b.wild, none)
		t.blob = append(t.blob, name...)
		t.off = append(t.off, uint32(len(t.blob)))
		t.slots[at] = tag | uint32(len(b.plain))
	}
	i := t.entry(at)
	labels, _ := countLabels(name)
	if plain {
		t.plainLabels[labels>>6] |= 1 << (labels & 63)
		b.set(b.plain, i, 0, val)
	}
	if wild {
		t.wildLabels[labels>>6] |= 1 << (labels & 63)
		b.set(b.wild, i, 1, val)
	}
	if !found && 4*len(b.plain) > 3*len(t.slots) {
		b.rehash(2 * len(t.slots))
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

func (b *nameBuilder) rehash(slots int) {
	b.t.slots = make([]uint32, slots)
	for i := range b.plain {
		at, tag, _ := b.t.slot(b.t.name(uint32(i)))
		b.t.slots[at] = tag | uint32(i+1)
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
		b.rehash(n)
	}
	t.blob, t.off = bytes.Clone(t.blob), append([]uint32(nil), t.off...)
	t.plain, t.wild = newColumn(b.plain), newColumn(b.wild)
	return t
}
