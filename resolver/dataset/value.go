package dataset

import (
	"encoding/binary"
	"errors"
	"slices"
)

// value says what an entry answers with. Values 0 and 1 are the constants
// below; value 2+i is record i of a values table; what is above the records is
// a set of several.
type value = uint32

const (
	none     value = 0 // no entry: a less specific one may answer
	excluded value = 1 // an entry that lists nothing and hides what is below it
	first    value = 2
)

// maxSet bounds the records of one answer, as a DNS message of rbldnsd does.
const maxSet = 255

// defaultA is 127.0.0.2, the code of an entry that names none.
const defaultA = 0x7f000002

// values holds the distinct records of one dataset. It is immutable once its
// builder is done.
type values struct {
	words            // records: the A code in four bytes, then the TXT template
	sets  [][]uint32 // record numbers; value first+len()+k is sets[k]
}

func (v *values) code(rec uint32) uint32 { return binary.BigEndian.Uint32(v.at(rec)) }

func (v *values) template(rec uint32) []byte { return v.at(rec)[4:] }

// single returns the record that val stands for, when it is only one.
func (v *values) single(val value) (rec uint32, ok bool) {
	rec = val - first
	return rec, rec < uint32(v.len())
}

// set returns the records of a value for which single said no.
func (v *values) set(val value) []uint32 {
	return v.sets[val-first-uint32(v.len())]
}

// size is the memory held, in bytes.
func (v *values) size() int {
	n := v.words.size()
	for _, s := range v.sets {
		n += 24 + 4*cap(s)
	}
	return n
}

// interner builds a values table; equal records and equal sets get one value.
type interner struct {
	values
	buf   []byte           // of record
	setOf map[string]value // by the values it was merged from
	def   value            // rbldnsd's built-in record: 127.0.0.2 without text
}

func newInterner() *interner {
	in := &interner{values: values{words: newWords()}, setOf: map[string]value{}}
	in.def = in.record(defaultA, nil)
	return in
}

// record returns the value of one A code and text template.
func (in *interner) record(a uint32, text []byte) value {
	in.buf = append(binary.BigEndian.AppendUint32(in.buf[:0], a), text...)
	return first + in.add(in.buf)
}

// merge returns the value of several entries for one and the same key: an
// exclusion among them hides all, equal ones count once. It may only be called
// when no further record follows, because sets are numbered after the records.
// No val may be none. vals is reordered.
func (in *interner) merge(vals []value) value {
	if len(vals) == 1 {
		return vals[0]
	}
	for i, n := 0, len(vals); i < n; i++ {
		if _, ok := in.single(vals[i]); vals[i] >= first && !ok {
			recs := in.set(vals[i])
			for _, rec := range recs[1:] {
				vals = append(vals, first+rec)
			}
			vals[i] = first + recs[0]
		}
	}
	slices.Sort(vals)
	vals = slices.Compact(vals)
	if vals[0] <= excluded || len(vals) == 1 {
		return vals[0]
	}
	vals = vals[:min(len(vals), maxSet)]
	key := make([]byte, 0, 4*len(vals))
	recs := make([]uint32, len(vals))
	for i, v := range vals {
		recs[i] = v - first
		key = binary.LittleEndian.AppendUint32(key, v)
	}
	if v, ok := in.setOf[string(key)]; ok {
		return v
	}
	v := first + uint32(in.len()+len(in.sets))
	in.sets = append(in.sets, recs)
	in.setOf[string(key)] = v
	return v
}

// done returns the finished table in as little memory as it needs.
func (in *interner) done() values {
	in.trim()
	return values{words: words{off: in.off, blob: in.blob}, sets: in.sets}
}

var (
	errCode     = errors.New("the A value is no IPv4 address")
	errAfterA   = errors.New("something follows the A value; a text needs a second colon before it")
	errTextLong = errors.New("the text is longer than 255 bytes and is cut")
)

// parse reads ":A:TXT", ":A", ":A:" or a bare text. What is left out comes from
// def, the default in force; ":A:" leaves the text empty. A text too long is
// cut, and then the value is good although the error is not nil.
func (in *interner) parse(s []byte, def value) (value, error) {
	a, text := in.code(def-first), s
	if s[0] == ':' {
		code, n, rest, ok := parseOctets(s[1:])
		if code = inetAddr(code, n); !ok || code == 0 {
			return none, errCode
		}
		if n == 1 {
			code |= 127 << 24 // ":2" is 127.0.0.2
		}
		a, rest = code, skipSpace(rest)
		switch {
		case len(rest) == 0:
			text = in.template(def - first)
		case rest[0] != ':':
			return none, errAfterA
		default:
			text = skipSpace(rest[1:])
		}
	}
	if len(text) > 255 {
		return in.record(a, text[:255]), errTextLong
	}
	return in.record(a, text), nil
}

// column holds one value per entry in the least width that they allow.
type column struct {
	same value // of all entries, when the slices are nil
	c8   []uint8
	c16  []uint16
	c32  []uint32
}

func newColumn(vals []value) column {
	if len(vals) == 0 {
		return column{}
	}
	least, most := slices.Min(vals), slices.Max(vals)
	switch {
	case least == most:
		return column{same: least}
	case most < 1<<8:
		return column{c8: narrow[uint8](vals)}
	case most < 1<<16:
		return column{c16: narrow[uint16](vals)}
	}
	return column{c32: slices.Clone(vals)}
}

func narrow[T uint8 | uint16](vals []value) []T {
	out := make([]T, len(vals))
	for i, v := range vals {
		out[i] = T(v)
	}
	return out
}

func (c *column) at(i int) value {
	switch {
	case c.c8 != nil:
		return value(c.c8[i])
	case c.c16 != nil:
		return value(c.c16[i])
	case c.c32 != nil:
		return c.c32[i]
	}
	return c.same
}

func (c *column) size() int { return cap(c.c8) + 2*cap(c.c16) + 4*cap(c.c32) }
