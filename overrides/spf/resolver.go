package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Type is a DNS record type, by its number in the protocol.
type Type uint16

// The record types that an evaluation asks for.
const (
	TypeA    Type = 1
	TypePTR  Type = 12
	TypeMX   Type = 15
	TypeTXT  Type = 16
	TypeAAAA Type = 28
)

// String returns the type's mnemonic.
func (t Type) String() string {
	switch t {
	case TypeA:
		return "A"
	case TypePTR:
		return "PTR"
	case TypeMX:
		return "MX"
	case TypeTXT:
		return "TXT"
	case TypeAAAA:
		return "AAAA"
	}
	return fmt.Sprintf("TYPE%d", uint16(t))
}

// Resolver answers one DNS question, following CNAME records.
//
// name is lower case and absolute, without the trailing dot. Its labels are
// raw bytes between the dots, never escaped: a macro may put a space or a
// percent sign into one. Each label has 1 to 63 bytes, the name at most 253.
//
// "No such name" and "no such record" are answers, not errors. Any error means
// that the question could not be answered for now (SERVFAIL, REFUSED, timeout,
// a damaged message) and becomes a temperror. Lookup is called from one
// goroutine at a time for each evaluation.
type Resolver interface {
	Lookup(ctx context.Context, name string, t Type) (Answer, error)
}

// Answer is what one DNS question gave. Its slices are not written to.
type Answer struct {
	// Strings has one element for each TXT record, its character-strings
	// joined without a space, RFC 7208, section 3.3.
	Strings []string
	// Addrs has the addresses of A or AAAA records.
	Addrs []netip.Addr
	// Hosts has the targets of MX records by preference, or of PTR records as
	// they came; with or without the trailing dot, raw like names asked.
	// A null MX (RFC 7505) is "" or ".".
	Hosts []string
	// TTL is the least TTL of the records, or the negative TTL of RFC 2308,
	// section 5, if there are none.
	TTL time.Duration
	// NXDOMAIN says that the name does not exist (RCODE 3).
	NXDOMAIN bool
}

// Budget bounds the DNS questions of several evaluations together. It may be
// shared by goroutines; nil is a budget without bound.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of that many questions.
func NewBudget(questions int) *Budget {
	b := new(Budget)
	b.left.Store(int64(questions))
	return b
}

// Spend takes one question, and says whether there was one left.
func (b *Budget) Spend() bool { return b == nil || b.left.Add(-1) >= 0 }

// ErrBudget is why an evaluation that ran out of DNS questions is a temperror. A
// Resolver that keeps count itself may return it too.
var ErrBudget = errors.New("no DNS questions left")

type question struct {
	name string
	t    Type
}

type reply struct {
	answer Answer
	err    error
}

// snapshot asks each name once and remembers what came, failures included, so
// that one evaluation, or all those of one Map, see one state of DNS.
type snapshot struct {
	resolver Resolver
	budget   *Budget
	replies  map[question]reply
	ttl      time.Duration // least TTL so far; negative before the first answer
	spent    bool          // the budget or the caller's time ran out: nothing after that counts
}

func newSnapshot(r Resolver, b *Budget) *snapshot {
	return &snapshot{resolver: r, budget: b, replies: make(map[question]reply), ttl: -1}
}

func (s *snapshot) ask(ctx context.Context, name string, t Type) (Answer, error) {
	q := question{name, t}
	if r, ok := s.replies[q]; ok {
		return r.answer, r.err
	}
	r := reply{err: ctx.Err()}
	switch {
	case r.err != nil:
		s.spent = true
	case !s.budget.Spend():
		r.err, s.spent = ErrBudget, true
	default:
		r.answer, r.err = s.resolver.Lookup(ctx, name, t)
		s.spent = s.spent || r.err != nil && (ctx.Err() != nil || errors.Is(r.err, ErrBudget))
	}
	if r.err != nil {
		r.err = fmt.Errorf("asking %s %q: %w", t, name, r.err)
	} else if s.ttl < 0 || r.answer.TTL < s.ttl {
		s.ttl = max(0, r.answer.TTL)
	}
	s.replies[q] = r
	return r.answer, r.err
}

// leastTTL returns the least TTL of the answers, 0 if there were none.
func (s *snapshot) leastTTL() time.Duration { return max(0, s.ttl) }
