package resolver

import (
	"fmt"
	"sync/atomic"

	"dnsblproxy/cache"
	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Source is where a zone's own answers come from.
type Source uint8

const (
	SourceUpstream Source = iota // a DNSBL, asked over DNS
	SourceDeny                   // the deny rules alone
	SourceAllow                  // the allow rules, published as a DNSWL
	SourceFile                   // rbldnsd data
	SourceRDNS                   // missing reverse DNS
	SourceCombined               // several zones, weighed
)

// Mode is what becomes of a zone's verdicts.
type Mode uint8

const (
	Enforce Mode = iota // answered as decided
	Observe             // decided, counted and logged, but answered unlisted
	Off                 // answered unlisted, nobody asked
)

// ZoneOptions describes one zone. It must not be changed once it was handed
// to a Resolver.
type ZoneOptions struct {
	Name string // as the MTA asks it: lower case, no trailing dot

	Source Source
	Mode   Mode
	Allow  bool // a DNSWL: its answers mean trust, so exemptions keep off

	Holds      rbl.Holds
	Listed     rbl.CodeSet // codes that are a listing
	NoOverride rbl.CodeSet // codes that no exemption removes

	// CodeName names a code for people, and for metrics, where codes without
	// a name ("") share a series; nil names none.
	CodeName func(rbl.Code) string

	// ServfailOnFailure makes SERVFAIL of what cannot be asked; otherwise it
	// is unlisted.
	ServfailOnFailure bool

	// Verify asks the list in the background about exempt addresses.
	Verify bool

	// Upstream is the name that the list is asked under, and Secrets are the
	// parts of it that only the list may see (keys), none of them empty.
	Upstream string
	Secrets  []string

	// List is what SourceUpstream and SourceRDNS ask; nil for the others.
	List List

	// File is the data of SourceFile; nil for the others.
	File *dataset.Store

	// Weigh adds up what the Members of SourceCombined say, in their order.
	Members []string
	Weigh   func([]rbl.Answer) Sum

	// Fingerprint changes when answers cached so far may no longer be used.
	Fingerprint string
}

// zone is a zone at work.
type zone struct {
	ZoneOptions

	apex     wire.Name // Name
	upstream wire.Name // Upstream
	labels   int       // of apex
	salt     uint64    // tells its questions from those of other zones in a hash
	hide     *hider
	members  []*zone
	counts   *counts
	files    fileAnswers

	// none is the last answer without records. A list has one, and gives it to
	// nearly every question.
	none atomic.Pointer[none]

	// answers is the zone's part of the cache. It is exchanged for an empty
	// one when the list's answers turn out to be worthless.
	answers atomic.Pointer[cache.Zone]
	flushes atomic.Uint32
	voided  atomic.Int64  // the clock's second, counted from 1, until which other proxies' answers are void; 0: none is
	epoch   atomic.Uint32 // of what is remembered of failures
}

// flush forgets what the list answered so far.
func (z *zone) flush(c *cache.Cache) {
	part := c.Zone(z.Name, fmt.Sprintf("%s/%d", z.Fingerprint, z.flushes.Add(1)))
	z.answers.Store(&part)
}

// asks reports whether the zone's answers are fetched, and so cached.
func (z *zone) asks() bool { return z.List != nil }

// key is the cache key of a subject's answer of type typ.
func (z *zone) key(q *question, typ uint16) cache.Key {
	part := z.answers.Load()
	if q.subject.Shape == rbl.IP4 && (typ == wire.TypeA || typ == wire.TypeTXT) {
		return part.IP4(uint8(typ), q.subject.Addr.As4())
	}
	return part.Name(typ, q.labels)
}

// listing reports whether data holds a code that is a listing, one of these
// that an exemption may remove, and one that it may not.
func (z *zone) listing(data packed) (removable, fixed bool) {
	if !data.has() {
		return false, false
	}
	for rec := range data.records {
		code, ok := rec.code()
		if !ok || !z.Listed.Contains(code) {
			continue
		}
		if z.NoOverride.Contains(code) {
			fixed = true
		} else {
			removable = true
		}
	}
	return removable, fixed
}

// remains reports whether an A record of the list is passed on.
func (z *zone) remains(code rbl.Code, exempt bool) bool {
	return z.Listed.Contains(code) && (!exempt || z.NoOverride.Contains(code))
}

// codeName is code as people read it: "127.0.0.10 (PBL)".
func (z *zone) codeName(code rbl.Code) string {
	if name := z.CodeName(code); name != "" {
		return code.String() + " (" + name + ")"
	}
	return code.String()
}
