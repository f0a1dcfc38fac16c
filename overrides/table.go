package overrides

import (
	"encoding/binary"
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
	a4 index[v4]
	a6 index[v6]

	// nodes maps a domain in wire form, without the root's zero byte, to the
	// sets of the name itself and of all names below it.
	nodes map[string]node

	// Set 0 is empty. A set with the bit single is the one match of that
	// index, as nearly all are. Any other set s is matches[sets[s]:sets[s+1]],
	// in the order in which rules match.
	sets    []uint32
	matches []match

	sources []tableSource
	rules   []tableRule
}

// single marks a set of one match; a table holds fewer than 2^31 matches.
const single = 1 << 31

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

// tableRule is a rule with what it opens.
type tableRule struct {
	rule   *Rule
	n4, n6 count // distinct addresses, exceptions and live parts left out
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

// Lookup returns what matches the address, which it unmaps; a zone index is
// ignored. It allocates nothing.
func (t *Table) Lookup(a netip.Addr) Set {
	switch {
	case a.Is4():
		b := a.As4()
		return Set{t, find4(&t.a4, v4(binary.BigEndian.Uint32(b[:])))}
	case !a.IsValid():
		return Set{}
	}
	b := a.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if hi == 0 && lo>>32 == 0xffff {
		return Set{t, find4(&t.a4, v4(lo))}
	}
	return Set{t, find6(&t.a6, v6{hi, lo})}
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

// Empty reports whether nothing matches, in any zone and at any time.
func (s Set) Empty() bool { return s.id == 0 }

// Allow returns the first allow rule in configuration order that matches in
// the zone at now, in seconds since 1970. The zone's name is lower case without
// trailing dot; an empty one has the rules without scope. It allocates nothing.
// Terms that must be evaluated live are not among them.
func (s Set) Allow(zone string, now int64) (Hit, bool) { return s.first(Allow, zone, now) }

// Deny is Allow for deny rules. That allow beats deny is the caller's to say.
func (s Set) Deny(zone string, now int64) (Hit, bool) { return s.first(Deny, zone, now) }

func (s Set) first(action Action, zone string, now int64) (Hit, bool) {
	for _, m := range s.matches() {
		src := &s.t.sources[m.source]
		if !src.live && s.t.counts(m, src, action, zone, now) {
			return s.t.hit(m, src), true
		}
	}
	return Hit{}, false
}

// Live returns the hits of allow rules whose SPF records can only be evaluated
// for the one address, in configuration order. It allocates only for hits.
func (s Set) Live(zone string, now int64) []Hit {
	var hits []Hit
	for _, m := range s.matches() {
		src := &s.t.sources[m.source]
		if src.live && s.t.counts(m, src, Allow, zone, now) {
			hits = append(hits, s.t.hit(m, src))
		}
	}
	return hits
}

func (s Set) matches() []match {
	switch {
	case s.id == 0:
		return nil
	case s.id&single != 0:
		i := s.id &^ single
		return s.t.matches[i : i+1]
	}
	return s.t.matches[s.t.sets[s.id]:s.t.sets[s.id+1]]
}

// counts reports whether a match counts for the action in the zone at now.
func (t *Table) counts(m match, src *tableSource, action Action, zone string, now int64) bool {
	r := t.rules[src.rule].rule
	return r.Action == action && (m.end == 0 || now < int64(m.end)) && (len(r.Zones) == 0 || slices.Contains(r.Zones, zone))
}

func (t *Table) hit(m match, src *tableSource) Hit {
	return Hit{Rule: t.rules[src.rule].rule, Source: src.source, Line: int(m.line), End: int64(m.end)}
}

// Intervals returns how many disjoint intervals the table holds.
func (t *Table) Intervals() int { return len(t.a4.starts) + len(t.a6.rest) }

// Bytes returns about how much memory the table's addresses take.
func (t *Table) Bytes() int {
	return (len(t.a4.top)+len(t.a6.top))*4 + len(t.a4.starts)*12 + len(t.a6.starts)*40 + len(t.sets)*4 + len(t.matches)*12
}
