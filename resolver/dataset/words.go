package dataset

import (
	"bytes"
	"hash/maphash"
)

// words are distinct byte strings, numbered as they come and packed, so that a
// million of them cost their bytes and some ten more each. They are found by a
// hash with open addressing.
type words struct {
	seed maphash.Seed
	// A slot holds a word's number plus one, 0 is free. The bits that the
	// number does not need are the hash's, so that hardly any word is read for
	// nothing: each costs two cache misses.
	slots []uint32
	off   []uint32 // word i is blob[off[i]:off[i+1]]
	blob  []byte
}

func newWords() words {
	return words{seed: maphash.MakeSeed(), slots: make([]uint32, 64), off: []uint32{0}}
}

func (w *words) len() int { return len(w.off) - 1 }

func (w *words) at(i uint32) []byte { return w.blob[w.off[i]:w.off[i+1]] }

// slot finds a word's slot, or where it belongs and with what hash bits.
func (w *words) slot(word []byte) (at, tag uint32, found bool) {
	mask := uint32(len(w.slots) - 1)
	h := maphash.Bytes(w.seed, word)
	tag = uint32(h>>32) &^ mask
	for at = uint32(h) & mask; w.slots[at] != 0; at = (at + 1) & mask {
		if w.slots[at]&^mask == tag && bytes.Equal(w.at(w.number(at)), word) {
			return at, tag, true
		}
	}
	return at, tag, false
}

// number is that of the word in a slot that is taken.
func (w *words) number(at uint32) uint32 { return w.slots[at]&uint32(len(w.slots)-1) - 1 }

// add returns a word's number, which is that of words so far if it is a new one.
func (w *words) add(word []byte) uint32 {
	at, tag, found := w.slot(word)
	if found {
		return w.number(at)
	}
	w.blob = append(w.blob, word...)
	w.off = append(w.off, uint32(len(w.blob)))
	n := w.len()
	w.slots[at] = tag | uint32(n)
	if 4*n > 3*len(w.slots) {
		w.rehash(2 * len(w.slots))
	}
	return uint32(n - 1)
}

func (w *words) rehash(slots int) {
	w.slots = make([]uint32, slots)
	for i := range uint32(w.len()) {
		at, tag, _ := w.slot(w.at(i))
		w.slots[at] = tag | (i + 1)
	}
}

// trim gives back what room for more words there is.
func (w *words) trim() {
	w.blob, w.off = bytes.Clone(w.blob), append([]uint32(nil), w.off...)
}

func (w *words) size() int { return 4*cap(w.slots) + 4*cap(w.off) + cap(w.blob) }
