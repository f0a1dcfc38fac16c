package resolver

import (
	"net/netip"
	"slices"
	"strings"

	"dnsblproxy/cache"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Rules is what the resolver asks of the exemptions. *overrides.Engine is it.
type Rules interface {
	// Table returns the rules in force. It is called once a question and zone.
	Table() *overrides.Table

	// LiveKnown returns what the SPF term behind hit is known to say of a.
	LiveKnown(hit overrides.Hit, a netip.Addr) overrides.LiveVerdict

	// LiveStart evaluates all terms of hits for a, within its own bounds of
	// time and questions, and then calls done once.
	LiveStart(a netip.Addr, hits []overrides.Hit, done func())
}

// facts is all that decide may look at. It is made anew for every call of
// decide; its slices are the owner's, to be reused.
type facts struct {
	rules Rules
	cache *cache.Cache
	fails *failures

	clock uint32 // seconds, the cache's
	now   int64  // Unix seconds, for the rules' dates

	// slow says that the question has waited long enough for a stale answer
	// to stand in; final, unless empty, why it waits no longer.
	slow  bool
	final string

	// got are the facts that were fetched for this question, if it waited.
	got []fetched

	// lacks are the facts that decide did not find, set by it.
	lacks []need

	// hadStale says that a lacking answer has an old one.
	hadStale bool

	// renew are cached answers that run out soon.
	renew []need

	// weighed are the members of a combined zone, as they were decided.
	weighed []weighedMember

	// Memory of fromFile.
	fileAnswer     dataset.Answer
	packing, rdata []byte

	// second says that there is a second level to ask.
	second bool

	// above is the rule that exempts the subject in a combined zone that is
	// being decided: each member decides as if it were its own. A term that is
	// evaluated for this address, which beats no deny rule, is aboveLive.
	above     overrides.Hit
	aboveLive bool

	steps *[]Step // nil unless somebody wants to know them
}

// weighedMember is what was decided in a member of a combined zone.
type weighedMember struct {
	zone     *zone
	decision decision
}

// needKind tells a list's answer from the evaluation of live SPF terms.
type needKind uint8

const (
	needAnswer needKind = iota
	needLive
)

// need is one fact to fetch: the list's answer to a question, or what the live
// SPF terms say of its subject.
type need struct {
	question
	kind  needKind
	renew bool   // fetch it although it is cached
	rule  string // exempts the subject: count it if the list has it
}

// fetched is a fact that arrived while its question waited. It counts even
// if the cache does not hold it: an answer with TTL 0 is good for those who
// waited for it.
type fetched struct {
	kind   needKind
	zone   *zone
	typ    uint16
	answer listAnswer
}

// state is how an answer of a list is at hand.
type state uint8

const (
	missing state = iota
	fresh
	stale   // past its TTL, and the list fails or dawdles
	failing // nothing there, and the list cannot be asked
)

// failure is why a list has no answer.
type failure struct {
	name string // the metric's label; only of what came of a question to the list
	text string // for people
	ede  uint16

	// vain says that to ask again cannot help, because the list is quarantined
	// or answers with an error code, so that this never turns into SERVFAIL.
	vain bool

	// spare says that only questions that nobody waits for are refused.
	spare bool
}

// listAnswer is a list's answer, or why there is none.
type listAnswer struct {
	state state
	data  packed
	ttl   uint32 // seconds left
	why   failure

	shared bool // it came from the cache that several proxies share just now
}

// match looks the subject up in the rules. Live terms are among what it finds.
func (f *facts) match(q *question) overrides.Set {
	if q.subject.Shape == rbl.Domain {
		return f.rules.Table().LookupDomain(q.labels)
	}
	return f.rules.Table().Lookup(q.subject.Addr)
}

// answer returns what is known of the list's answer of type typ to q.
func (f *facts) answer(q *question, typ uint16) listAnswer {
	z := q.zone
	if z.File != nil {
		return f.fromFile(q, typ)
	}
	if why, quarantined := z.List.Quarantined(); quarantined { // perhaps since it answered
		return listAnswer{state: failing, why: lies(why)}
	}
	for i := range f.got {
		if g := &f.got[i]; g.kind == needAnswer && g.zone == z && g.typ == typ {
			return g.answer
		}
	}
	e, found := f.cache.Get(z.key(q, typ))
	if found && e.Expires > f.clock {
		left := e.Expires - f.clock
		if left*10 <= e.Life && f.got == nil {
			f.renew = append(f.renew, need{question: q.of(typ)})
		}
		return listAnswer{state: fresh, data: packed(e.Data), ttl: left}
	}
	if len(q.labels)+len(z.upstream) > wire.MaxName {
		return listAnswer{state: fresh, data: packed([]byte{wire.RcodeNXDomain}), ttl: ownTTL} // no list can hold it
	}
	if why, failed := f.cannotAsk(q, typ); failed {
		if found {
			return listAnswer{state: stale, data: packed(e.Data), why: why}
		}
		return listAnswer{state: failing, why: why}
	}
	if found && f.slow {
		return listAnswer{state: stale, data: packed(e.Data), why: failure{text: "the list is slow"}}
	}
	f.hadStale = f.hadStale || found
	f.lack(q, needAnswer, typ)
	return listAnswer{}
}

// cannotAsk says why there is no use in asking the list now.
func (f *facts) cannotAsk(q *question, typ uint16) (failure, bool) {
	if f.final != "" {
		return failure{text: f.final, ede: edeUnreachable}, true
	}
	why, open := q.zone.breaker(q.subject.Shape)
	if open && !f.second {
		return why, true
	}
	// Another proxy may have asked while it could; once it is known that none
	// has, that is remembered like any failure.
	lost, failed := f.fails.get(q.zone, q.labels, typ, f.clock)
	if !open {
		why = lost
	}
	return why, failed && !lost.spare
}

// lies is the failure of a list that is quarantined.
func lies(why string) failure {
	return failure{text: why, ede: edeUnreachable, vain: true}
}

// breaker says why the zone's list is not to be asked about a shape of
// subject, if it is not.
func (z *zone) breaker(s rbl.Shape) (why failure, open bool) {
	text, vain, open := z.List.Open(s)
	if !open {
		return failure{}, false
	}
	return failure{text: text, ede: edeUnreachable, vain: vain}, true
}

// lack notes a fact to fetch.
func (f *facts) lack(q *question, kind needKind, typ uint16) {
	f.lacks = append(f.lacks, need{question: q.of(typ), kind: kind})
}

// step notes one step of a decision for a person who wants to know.
func (f *facts) step(n int, parts ...string) {
	if f.steps != nil {
		*f.steps = append(*f.steps, Step{n, strings.Join(parts, "")})
	}
}

// told is how many steps were noted, and untell takes back those from one of them
// to before another.
func (f *facts) told() int {
	if f.steps == nil {
		return 0
	}
	return len(*f.steps)
}

func (f *facts) untell(from, to int) {
	if f.steps != nil {
		*f.steps = slices.Delete(*f.steps, from, to)
	}
}

// unlisted notes that an answer holds no listing, and which codes it has all
// the same: a person who asks the list will see them.
func (f *facts) unlisted(z *zone, data packed) {
	if codes := f.codes(z, data); codes != "" {
		f.step(7, "the list answers ", codes, ", which is no listing")
		return
	}
	f.step(7, "the list does not have it")
}

// codes names the codes of an answer, for a trace only.
func (f *facts) codes(z *zone, data packed) string {
	if f.steps == nil {
		return ""
	}
	var names []string
	for rec := range data.records {
		if code, ok := rec.code(); ok {
			names = append(names, z.codeName(code))
		}
	}
	return strings.Join(names, ", ")
}
