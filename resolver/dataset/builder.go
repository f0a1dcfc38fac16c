package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// builder reads the files of one dataset line by line.
type builder struct {
	kind Kind
	now  time.Time

	in    *interner
	def   value // of entries without a value, in this file
	v4    *builder4
	v6    *builder6
	names *nameBuilder
	rrs   map[string][]rr

	ttl      uint32
	vars     variables
	soa      *soa
	ns       [][]byte // RDATA
	nsTTL    uint32
	expires  time.Time
	maxRange uint64 // addresses; 0: no bound
	defSet   bool   // a tset has one default for all of its entries

	fileName  string
	lineNo    int
	good, bad int // lines of this file
	entries   int
	problems  []Problem
	dropped   int // problems above the bound
}

func newBuilder(kind Kind, now time.Time) (*builder, error) {
	b := &builder{kind: kind, now: now, in: newInterner(), ttl: defaultTTL}
	b.def = b.in.def
	switch kind {
	case IP4Set, IP4TSet, IP4Trie:
		b.v4 = &builder4{in: b.in, trie: kind == IP4Trie}
	case IP6Trie, IP6TSet:
		b.v6 = &builder6{in: b.in}
	case DNSet:
		b.names = newNameBuilder(b.in)
	case Generic:
		b.rrs = map[string][]rr{}
	default:
		return nil, fmt.Errorf("%q is no dataset type", kind)
	}
	return b, nil
}

// startFile begins a file of size bytes; the default value ends with a file,
// except in the tsets.
func (b *builder) startFile(name string, size int64) {
	b.fileName, b.lineNo, b.good, b.bad = name, 0, 0, 0
	if b.kind != IP4TSet && b.kind != IP6TSet {
		b.def = b.in.def
	}
	if b.v4 != nil {
		n := int(min(size/13, 1<<24)) // a line with no more than an address takes about 14 bytes
		b.v4.singles, b.v4.vals = slices.Grow(b.v4.singles, n), slices.Grow(b.v4.vals, n)
	}
}

// problem notes that the current line is not what it should be.
func (b *builder) problem(err error) {
	b.bad++
	b.note(err)
}

func (b *builder) note(err error) {
	if len(b.problems) >= maxProblems {
		b.dropped++
		return
	}
	b.problems = append(b.problems, Problem{b.fileName, b.lineNo, err.Error()})
}

// skipped returns the problems, and how many more there were.
func (b *builder) skipped() []Problem {
	if b.dropped == 0 {
		return b.problems
	}
	return append(b.problems, Problem{b.fileName, b.lineNo, fmt.Sprintf("%d more lines were skipped", b.dropped)})
}

// line reads one line. Its error is only of interest when it is errFuture.
func (b *builder) line(s []byte) error {
	if s = bytes.TrimRight(skipSpace(s), " \t\r\n"); len(s) == 0 {
		return nil
	}
	var err error
	switch c := s[0]; {
	case c == '$':
		err = b.special(s[1:])
	case len(s) > 1 && s[1] == '$' && (isComment(c) || c == ':'): // for files that djb's rbldns reads too
		err = b.special(s[2:])
	case isComment(c):
		return nil
	case c == ':' && b.rrs == nil && !(b.kind == IP6Trie && len(s) > 1 && s[1] == ':'):
		err = b.defaultLine(s)
	default:
		if err = b.entry(s); err == nil || errors.Is(err, errTextLong) {
			b.entries++
		}
	}
	switch {
	case errors.Is(err, errTextLong):
		b.good++
		b.note(err)
	case err != nil:
		b.problem(err)
	default:
		b.good++
	}
	return err
}

// defaultLine sets the value of the entries that follow; in a tset the first
// one stands for all.
func (b *builder) defaultLine(s []byte) error {
	if b.defSet {
		return nil
	}
	val, err := b.in.parse(s, b.in.def)
	if val == none {
		return err
	}
	b.def = val
	b.defSet = b.kind == IP4TSet || b.kind == IP6TSet
	return err
}

// value reads what follows the key of an entry.
func (b *builder) value(rest []byte, exclude bool) (value, error) {
	if rest = skipSpace(rest); exclude {
		return excluded, nil
	}
	if len(rest) == 0 || isComment(rest[0]) {
		return b.def, nil
	}
	return b.in.parse(rest, b.def)
}

var (
	errTooLarge = errors.New("the range is larger than $MAXRANGE4 allows")
	errZeroBits = errors.New("a prefix length of 0 would list every address")
	errOnlyAddr = errors.New("an ip4tset holds single addresses only")
	errHalf     = errors.New("an entry of an ip6tset is four groups")
	errFull     = errors.New("an exclusion of an ip6tset is one full address")
	errNoName   = errors.New("this is no domain name to list")
	errNoASCII  = errors.New("nobody asks for a name beyond ASCII; write its xn-- form")
)

// entry reads one entry of whatever kind.
func (b *builder) entry(s []byte) error {
	if b.rrs != nil {
		name, r, err := parseGeneric(s, b.ttl)
		if err != nil {
			return err
		}
		b.rrs[string(name)] = append(b.rrs[string(name)], r)
		return nil
	}
	exclude := s[0] == '!' && b.kind != IP4TSet
	if exclude {
		s = skipSpace(s[1:])
	}
	switch b.kind {
	case IP4TSet:
		a, n, rest, ok := parseOctets(s)
		if !ok || n != 4 || !endsKey(rest) {
			return errOnlyAddr
		}
		b.v4.addSingle(a, first)
		return nil
	case IP4Set, IP4Trie:
		return b.entry4(s, exclude)
	case IP6TSet:
		return b.entryHalf6(s, exclude)
	case IP6Trie:
		a, bits, rest, err := parseCIDR6(s)
		if err != nil {
			return err
		}
		val, err := b.value(rest, exclude)
		if val != none {
			b.v6.add(a, bits, val)
		}
		return err
	}
	return b.entryName(s, exclude)
}

func (b *builder) entry4(s []byte, exclude bool) error {
	r, rest, err := parseRange4(s, b.kind == IP4Set)
	switch {
	case err != nil:
		return err
	case r.bits == 0 && b.kind == IP4Set:
		return errZeroBits
	case b.maxRange != 0 && uint64(r.hi-r.lo)+1 > b.maxRange:
		return errTooLarge
	}
	val, err := b.value(rest, exclude)
	switch {
	case val == none:
	case b.kind == IP4Trie:
		b.v4.addPrefix(r.lo, r.hi, r.bits, val)
	default:
		b.v4.addRange(r.lo, r.hi, val)
	}
	return err
}

func (b *builder) entryHalf6(s []byte, exclude bool) error {
	a, bits, rest, err := parsePrefix6(s)
	switch {
	case err != nil || !endsKey(rest):
		return errAddress
	case exclude && bits != 128:
		return errFull
	case !exclude && bits != 64:
		return errHalf
	case exclude:
		b.v6.add(a, bits, excluded)
	default:
		b.v6.add(a, bits, first)
	}
	return nil
}

func (b *builder) entryName(s []byte, exclude bool) error {
	plain, wild := true, false
	switch {
	case len(s) > 0 && s[0] == '.':
		wild, s = true, s[1:]
	case len(s) > 1 && s[0] == '*' && s[1] == '.':
		plain, wild, s = false, true, s[2:]
	}
	word, rest := cutWord(s)
	name, err := parseName(word)
	if err != nil || len(name) == 0 || bytes.ContainsAny(word, "<>") { // of a web page, in the list's place
		return errNoName
	}
	for _, c := range name {
		if c >= 0x80 {
			return errNoASCII
		}
	}
	lowerName(name)
	val, err := b.value(rest, exclude)
	if val != none {
		b.names.add(name, plain, wild, val)
	}
	return err
}

// done builds the tables; the builder is spent.
func (b *builder) done() *set {
	s := &set{ttl: b.ttl, vars: b.vars, generic: b.rrs, entries: b.entries}
	switch {
	case b.v4 != nil:
		s.ip4 = b.v4.done()
		if b.kind == IP4TSet {
			s.ip4.exactVal = column{same: b.def}
		}
		b.v4 = nil
	case b.v6 != nil:
		s.ip6 = b.v6.done()
		if b.kind == IP6TSet {
			s.ip6.netVal = column{same: b.def}
		}
		b.v6 = nil
	case b.names != nil:
		s.names = b.names.done()
		b.names = nil
	}
	s.values = b.in.done()
	return s
}
