package overrides

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
)

// Table maps every address and domain to the rules that match it. It is
// immutable: any number of goroutines may ask it at once. The zero Table
// matches nothing.
//
// Addresses are held as disjoint intervals, each with the set of all entries
// that cover it, so one search answers for all rules together.
type Table struct {
	a4 index4
	a6 index6

	// nodes maps a domain in wire form, without the root's zero byte, to the
	// sets of the name itself and of all names below it.
	nodes map[string]node

	// Set s is matches[sets[s]:sets[s+1]], in the order in which rules
	// match. Set 0 is empty.
	sets    []uint32
	matches []match

	sources []tableSource
	rules   []tableRule
	zones   map[string]int
}

// match says that an entry covers an address.
type match struct {
	source uint32 // index into Table.sources
	line   uint32
	end    uint32 // seconds since 1970; 0: never
}

// tableSource is a source as the table sees it. The fixed and the live part
// of an SPF source are two of them.
type tableSource struct {
	rule   uint32
	live   bool
	source Source
}

// tableRule is a rule with its scope, compiled against the zones that the
// table was built for, and with what it opens.
type tableRule struct {
	rule   *Rule
	all    bool     // in every zone
	zones  []uint64 // bit n: in zone n
	n4, n6 count    // distinct addresses, exceptions and live parts left out
}

type node struct{ self, below uint32 }

// Source says where a match comes from.
type Source struct {
	Kind Kind
	Name string // a domain, host, path, URL without secrets, or the entry; see String
	text string
}

func sourceOf(kind Kind, name string) Source {
	text := kind.String()
	if name != "" {
		text += " " + name
	}
	return Source{kind, name, text}
}

// String writes the source as "spf efax.com" or "file allow.d/efax.txt".
func (s Source) String() string { return s.text }

// Hit is one match: a rule, and where in it the address or domain stands.
type Hit struct {
	Rule   *Rule // never nil; not to be changed
	Source Source
	Line   int   // of a rule file, or 1-based position in the list cidr or domains; 0: none
	End    int64 // when it stops counting, in seconds since 1970; 0: never
}

// Set is all that matches one address or domain. It costs nothing to pass
// and refers to its table, which it keeps alive.
type Set struct {
	t  *Table
	id uint32
}

// AnyZone asks for rules in all zones whatever they are, which are those
// without scope.
const AnyZone = -1

// Zone returns the number by which Allow and Deny know the zone, or AnyZone
// if no such zone was handed in when the table was built. The name is lower
// case without trailing dot. Numbers hold for one table only.
func (t *Table) Zone(name string) int {
	if n, ok := t.zones[name]; ok {
		return n
	}
	return AnyZone
}

// Lookup returns what matches the address, which it unmaps; a zone index is
// ignored. It allocates nothing.
func (t *Table) Lookup(a netip.Addr) Set {
	switch {
	case a.Is4():
		b := a.As4()
		return Set{t, t.a4.find(v4(binary.BigEndian.Uint32(b[:])))}
	case !a.IsValid():
		return Set{}
	}
	b := a.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if hi == 0 && lo>>32 == 0xffff {
		return Set{t, t.a4.find(v4(lo))}
	}
	return Set{t, t.a6.find(v6{hi, lo})}
}

// LookupDomain returns what matches the domain, given in wire form (length-
// prefixed labels), lower case, with or without the root's zero byte. It
// allocates nothing. A malformed name matches nothing.
func (t *Table) LookupDomain(name []byte) Set {
	if len(t.nodes) == 0 {
		return Set{}
	}
	end := 0
	for end < len(name) && name[end] != 0 {
		end += 1 + int(name[end])
	}
	if end > len(name) {
		return Set{}
	}
	for i := 0; i < end; i += 1 + int(name[i]) {
		if n, ok := t.nodes[string(name[i:end])]; ok {
			if i == 0 {
				return Set{t, n.self}
			}
			return Set{t, n.below}
		}
	}
	return Set{}
}

// Contains reports whether an unscoped allow rule or one scoped to the zone
// holds the address: what a zone with source "allow" publishes.
func (t *Table) Contains(a netip.Addr, zone int, now int64) bool {
	_, ok := t.Lookup(a).Allow(zone, now)
	return ok
}

// Empty reports whether nothing matches, in any zone and at any time.
func (s Set) Empty() bool { return s.id == 0 }

// Allow returns the first allow rule in configuration order that matches in
// the zone at now, in seconds since 1970. It allocates nothing. Terms that
// must be evaluated live are not among them.
func (s Set) Allow(zone int, now int64) (Hit, bool) { return s.first(Allow, zone, now) }

// Deny is Allow for deny rules. That allow beats deny is the caller's to say.
func (s Set) Deny(zone int, now int64) (Hit, bool) { return s.first(Deny, zone, now) }

func (s Set) first(action Action, zone int, now int64) (Hit, bool) {
	for _, m := range s.matches() {
		src := &s.t.sources[m.source]
		if !src.live && s.t.counts(m, src, action, zone, now) {
			return s.t.hit(m, src), true
		}
	}
	return Hit{}, false
}

// HasLive reports whether AppendLive would append anything.
func (s Set) HasLive(zone int, now int64) bool {
	for _, m := range s.matches() {
		src := &s.t.sources[m.source]
		if src.live && s.t.counts(m, src, Allow, zone, now) {
			return true
		}
	}
	return false
}

// AppendLive appends the hits of allow rules whose SPF records can only be
// evaluated for the one address, in configuration order.
func (s Set) AppendLive(dst []Hit, zone int, now int64) []Hit {
	for _, m := range s.matches() {
		src := &s.t.sources[m.source]
		if src.live && s.t.counts(m, src, Allow, zone, now) {
			dst = append(dst, s.t.hit(m, src))
		}
	}
	return dst
}

// All yields every hit with whether it is live, in any zone and at any time,
// for people who ask why.
func (s Set) All() iter.Seq2[Hit, bool] {
	return func(yield func(Hit, bool) bool) {
		for _, m := range s.matches() {
			src := &s.t.sources[m.source]
			if !yield(s.t.hit(m, src), src.live) {
				return
			}
		}
	}
}

func (s Set) matches() []match {
	if s.id == 0 {
		return nil
	}
	return s.t.matches[s.t.sets[s.id]:s.t.sets[s.id+1]]
}

// counts reports whether a match counts for the action in the zone at now.
func (t *Table) counts(m match, src *tableSource, action Action, zone int, now int64) bool {
	r := &t.rules[src.rule]
	return r.rule.Action == action && (m.end == 0 || now < int64(m.end)) && r.in(zone)
}

func (r *tableRule) in(zone int) bool {
	return r.all || zone >= 0 && zone>>6 < len(r.zones) && r.zones[zone>>6]>>(zone&63)&1 != 0
}

func (t *Table) hit(m match, src *tableSource) Hit {
	return Hit{Rule: t.rules[src.rule].rule, Source: src.source, Line: int(m.line), End: int64(m.end)}
}

// Intervals returns how many disjoint intervals the table holds.
func (t *Table) Intervals() int { return len(t.a4.starts) + len(t.a6.starts) }

// Bytes returns about how much memory the table's addresses take.
func (t *Table) Bytes() int {
	return len(t.a4.starts)*12 + len(t.a4.top)*4 + len(t.a6.starts)*36 + len(t.a6.top)*8 +
		len(t.sets)*4 + len(t.matches)*12
}

// index4 finds the interval of an IPv4 address. A first index by the upper
// half of the address leaves a few neighbouring starts to search.
type index4 struct {
	top    []uint32 // top[h]: first interval that starts at h<<16 or later; 65537 of them
	starts []v4
	ends   []v4
	sets   []uint32
}

func (x *index4) find(a v4) uint32 {
	if len(x.top) == 0 {
		return 0
	}
	lo, hi := x.top[a>>16], x.top[a>>16+1]
	// The first interval that starts above a; the one before it may hold a,
	// and may have started in an earlier half.
	for lo < hi {
		mid := (lo + hi) / 2
		if x.starts[mid] <= a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 || x.ends[lo-1] < a {
		return 0
	}
	return x.sets[lo-1]
}

func (x *index4) add(lo, hi v4, set uint32) {
	if n := len(x.sets); n > 0 && x.sets[n-1] == set && x.ends[n-1].next() == lo {
		x.ends[n-1] = hi
		return
	}
	x.starts, x.ends, x.sets = append(x.starts, lo), append(x.ends, hi), append(x.sets, set)
}

func (x *index4) seal() {
	x.starts, x.ends, x.sets = slices.Clip(x.starts), slices.Clip(x.ends), slices.Clip(x.sets)
	if len(x.starts) == 0 {
		return
	}
	x.top = make([]uint32, 1<<16+1)
	i := 0
	for h := range x.top {
		for i < len(x.starts) && int(x.starts[i]>>16) < h {
			i++
		}
		x.top[h] = uint32(i)
	}
}

// index6 finds the interval of an IPv6 address: a search among every 32nd
// start, which stay in the processor's cache, then among 32 neighbours.
type index6 struct {
	top    []v6
	starts []v6
	ends   []v6
	sets   []uint32
}

// stride6 is how many starts one element of index6.top stands for.
const stride6 = 32

func (x *index6) find(a v6) uint32 {
	n := above(x.top, a)
	if n == 0 {
		return 0
	}
	lo := (n - 1) * stride6
	hi := min(lo+stride6, len(x.starts))
	i := lo + above(x.starts[lo:hi], a) - 1
	if x.ends[i].less(a) {
		return 0
	}
	return x.sets[i]
}

// above returns how many of the sorted starts are not above a.
func above(starts []v6, a v6) int {
	lo, hi := 0, len(starts)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if a.less(starts[mid]) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

func (x *index6) add(lo, hi v6, set uint32) {
	if n := len(x.sets); n > 0 && x.sets[n-1] == set && x.ends[n-1].next() == lo {
		x.ends[n-1] = hi
		return
	}
	x.starts, x.ends, x.sets = append(x.starts, lo), append(x.ends, hi), append(x.sets, set)
}

func (x *index6) seal() {
	x.starts, x.ends, x.sets = slices.Clip(x.starts), slices.Clip(x.ends), slices.Clip(x.sets)
	for i := 0; i < len(x.starts); i += stride6 {
		x.top = append(x.top, x.starts[i])
	}
}
