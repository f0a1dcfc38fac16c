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
// Addresses are held as disjoint intervals, each with all entries that cover
// it, so one search answers for all rules together.
type Table struct {
	a4        index[v4]
	a6        index6
	intervals int

	// nodes maps a domain in wire form, without the root's zero byte, to what
	// matches the name itself and all names below it.
	nodes map[string]node

	matches []match // where there are several, in the order in which rules match
	sources []tableSource
	rules   []tableRule
}

// match says that an entry covers an address. Nearly always it is the only one.
// The zero value is none.
type match struct {
	source uint32 // index into Table.sources, from 1; several: there are end of them, in Table.matches from line
	line   uint32
	end    uint32 // seconds since 1970; 0: never
}

// These are in place of a match's source.
const (
	several = 1<<31 + iota
	inside  // of index6 alone
)

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

type node struct{ self, below match }

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
	t   *Table
	all [1]match // or one that stands for several
}

// Lookup returns what matches the address, which it unmaps; a zone index is
// ignored. It allocates nothing.
func (t *Table) Lookup(a netip.Addr) Set {
	switch {
	case a.Is4():
		b := a.As4()
		return t.set(t.a4.find(v4(binary.BigEndian.Uint32(b[:]))))
	case !a.IsValid():
		return Set{}
	}
	b := a.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if hi == 0 && lo>>32 == 0xffff {
		return t.set(t.a4.find(v4(lo)))
	}
	return t.set(t.a6.find(v6{hi, lo}))
}

func (t *Table) set(m match) Set { return Set{t, [1]match{m}} }

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
				return t.set(n.self)
			}
			return t.set(n.below)
		}
	}
	return Set{}
}

// Empty reports whether nothing matches, in any zone and at any time.
func (s Set) Empty() bool { return s.all[0].source == 0 }

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

func (s *Set) matches() []match {
	switch m := s.all[0]; m.source {
	case 0:
		return nil
	case several:
		return s.t.matches[m.line : m.line+m.end]
	}
	return s.all[:]
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
func (t *Table) Intervals() int { return t.intervals }

// Bytes returns about how much memory the table's addresses take.
func (t *Table) Bytes() int {
	return t.a4.bytes() + t.a6.upper.bytes() + len(t.a6.starts)*32 + len(t.matches)*12
}
