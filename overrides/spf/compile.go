package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Bounds on the work for one Map. Records that people publish stay far below;
// the limits of RFC 7208 bound one evaluation, not the sum over all addresses.
const (
	DefaultMaxRanges    = 1 << 18
	DefaultMaxQuestions = 1000
)

// ErrTooComplex means that a domain needs more ranges or more DNS questions
// than CompileOptions allow, or has more than a megabyte of records.
var ErrTooComplex = errors.New("policy is too complex to compile")

// CompileOptions are the identity and the bounds. The zero value is fine.
type CompileOptions struct {
	Sender, HELO string // as in Query
	MaxRanges    int    // before neighbours are merged; 0: DefaultMaxRanges
	MaxQuestions int    // 0: DefaultMaxQuestions

	// Follow has the tree show what lies behind a live term too, where no
	// sweep comes. It costs questions and changes nothing else.
	Follow bool
}

// Compile evaluates a domain for every address, against one state of DNS in
// which each name is asked once.
//
// It sweeps each family from its first address to its last: an evaluation
// takes note of how far around its address all comparisons would have come out
// the same, and the next one starts behind that. What comes first, qualifiers,
// and limits that differ from address to address are right because it is
// CheckHost's own evaluation that runs.
//
// What DNS and the records do wrong is in the Map, as results. The error is
// that of ctx, or ErrTooComplex.
func Compile(ctx context.Context, r Resolver, domain string, o CompileOptions) (*Map, error) {
	if o.MaxRanges <= 0 {
		o.MaxRanges = DefaultMaxRanges
	}
	if o.MaxQuestions <= 0 {
		o.MaxQuestions = DefaultMaxQuestions
	}
	s := &sweep{policies: newPolicies(r, o.MaxQuestions), tables: make(map[tableKey]*table)}
	q := Query{Domain: domain, Sender: o.Sender, HELO: o.HELO}
	m := &Map{domain: q.Domain}
	for _, six := range []bool{false, true} {
		ranges, err := s.family(ctx, q, six, o.MaxRanges)
		if err != nil {
			return nil, fmt.Errorf("compiling %q: %w", domain, err)
		}
		m.ranges = append(m.ranges, ranges...)
	}
	m.Live = s.live
	m.Lookups = s.lookups
	m.Problems = s.problems
	m.TTL = s.policies.leastTTL()
	m.Questions = len(s.policies.replies)
	s.follow = o.Follow
	m.Tree = s.tree(ctx, q)
	m.count()
	return m, nil
}

// sweep is what the evaluations of one Map share.
type sweep struct {
	policies *policies
	tables   map[tableKey]*table
	live     []Step
	problems []Problem
	lookups  int // most of any evaluation

	// Of the tree.
	follow bool // of CompileOptions
	beyond bool // it has come past a live term
	asks   bool // what the term at hand would ask is asked now
	left   int  // nodes it may still have
	room   int  // terms and addresses likewise

	// The addresses that the evaluation under way stands for.
	first, last netip.Addr
}

// tableKey names what the addresses of one family are compared with: a run of
// ip4 and ip6, by its first term, or an answer of addresses, widened to prefixes.
type tableKey struct {
	run    *Term
	answer question
	bits   int
	six    bool
}

// family returns the ranges of one family, in order and without a gap.
func (s *sweep) family(ctx context.Context, q Query, six bool, most int) ([]Range, error) {
	var ranges []Range
	end := lastAddr(six)
	at := firstOf(six)
	for n := 0; ; n++ {
		s.first, s.last = at, end
		q.Addr = at // ::ffff:0:0 is IPv6 by position
		c := newCheck(ctx, s.policies, q)
		c.sweep = s
		v := c.host(c.domain)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.policies.spent || n >= most {
			return nil, ErrTooComplex
		}
		s.lookups = max(s.lookups, c.lookups)
		s.noteProblem(v)
		if k := len(ranges); k > 0 && ranges[k-1].Result == v.result {
			ranges[k-1].Last = s.last
		} else {
			ranges = append(ranges, Range{at, s.last, v.result})
		}
		if s.last == end {
			return ranges, nil
		}
		at = s.last.Next()
	}
}

// narrow takes note that addresses behind last would compare differently.
func (s *sweep) narrow(last netip.Addr) {
	if last.Less(s.last) {
		s.last = last
	}
}

// matchRun is check.matchRun for all addresses at once.
func (s *sweep) matchRun(step []Term) Result {
	key := tableKey{run: &step[0], six: s.first.Is6()}
	return s.match(key, func() []Term { return step })
}

// matchAddrs compares with the addresses of an answer.
func (s *sweep) matchAddrs(q question, bits int, addrs []netip.Addr) bool {
	key := tableKey{answer: q, bits: bits, six: q.t == TypeAAAA}
	return s.match(key, func() (terms []Term) {
		for _, a := range addrs {
			if p, err := a.Prefix(bits); err == nil {
				terms = append(terms, Term{Network: p, Qualifier: Pass})
			}
		}
		return terms
	}) == Pass
}

// match compares with the networks of terms. The address asked about is always
// s.first: everything before it is done.
func (s *sweep) match(key tableKey, terms func() []Term) Result {
	t := s.tables[key]
	if t == nil {
		t = newTable(terms(), key.six)
		s.tables[key] = t
	}
	class, last := t.find(s.first)
	s.narrow(last)
	return class
}

// noteLive remembers a live term that was reached; the deepest one counts, not
// the includes around it.
func (s *sweep) noteLive(domain string, t *Term) {
	if step := (Step{domain, t.Text}); t.Live() && !slices.Contains(s.live, step) {
		s.live = append(s.live, step)
	}
}

// maxProblems bounds the list of a hostile domain.
const maxProblems = 32

func (s *sweep) noteProblem(v verdict) {
	if v.why == nil || v.result == Live || len(s.problems) >= maxProblems {
		return
	}
	p := Problem{v.result, oneLine(v.why)}
	if !slices.Contains(s.problems, p) {
		s.problems = append(s.problems, p)
	}
}

// maxWhy bounds a reason, which quotes what others published; in bytes.
const maxWhy = 500

// oneLine prints an error, joined ones too, in one line that is not too long.
func oneLine(err error) string {
	s := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(s) > maxWhy {
		s = strings.ToValidUTF8(s[:maxWhy], "") + "..."
	}
	return s
}
