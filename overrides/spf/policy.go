package spf

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// policy is what a domain publishes: a record, or why there is none.
type policy struct {
	record *Record // nil: result and why say what check_host() returns
	result Result  // None, TempError or PermError
	why    error
}

type question struct {
	name string
	t    Type
}

type reply struct {
	answer Answer
	err    error
}

// nameKey names the expansion of a term without %{i} and %{p}, which %{v} lets
// differ between the families.
type nameKey struct {
	term   *Term
	domain string
	six    bool
}

// policies holds the records of the domains that were asked. It asks each name
// once and remembers what came, failures included, so that one evaluation, or all
// those of one Map, see one state of DNS.
type policies struct {
	resolver Resolver
	most     int // questions; 0: no bound, as for one address
	octets   int // of the records
	domains  map[string]*policy
	replies  map[question]reply
	names    map[nameKey]string
	ttl      time.Duration // least TTL so far; negative before the first answer
	spent    bool          // a bound was reached, or the caller's time ran out: nothing after that counts
}

// maxRecords bounds the records of one Map, in octets. Of each may come a hundred
// octets of memory.
const maxRecords = 1 << 20

func newPolicies(r Resolver, most int) *policies {
	return &policies{
		resolver: r, most: most, ttl: -1,
		domains: make(map[string]*policy), replies: make(map[question]reply), names: make(map[nameKey]string),
	}
}

func (p *policies) ask(ctx context.Context, name string, t Type) (Answer, error) {
	q := question{name, t}
	if r, ok := p.replies[q]; ok {
		return r.answer, r.err
	}
	r := reply{err: ctx.Err()}
	if r.err == nil && p.most > 0 && len(p.replies) >= p.most {
		r.err = ErrBudget
	}
	if r.err == nil {
		r.answer, r.err = p.resolver.Lookup(ctx, name, t)
	}
	if r.err != nil {
		p.spent = p.spent || ctx.Err() != nil || errors.Is(r.err, ErrBudget)
		r.err = fmt.Errorf("asking %s %q: %w", t, name, r.err)
	} else if p.ttl < 0 || r.answer.TTL < p.ttl {
		p.ttl = max(0, r.answer.TTL)
	}
	p.replies[q] = r
	return r.answer, r.err
}

// leastTTL returns the least TTL of the answers, 0 if there were none.
func (p *policies) leastTTL() time.Duration { return max(0, p.ttl) }

var (
	errNoName   = errors.New("no such name")
	errNoRecord = errors.New("no SPF record")
	errRecords  = errors.New("more than one SPF record")
)

// of looks up, selects and parses the record of a domain, RFC 7208, sections
// 4.3 to 4.6.
func (p *policies) of(ctx context.Context, domain string) *policy {
	if known, ok := p.domains[domain]; ok {
		return known
	}
	found := p.find(ctx, domain)
	p.domains[domain] = found
	return found
}

func (p *policies) find(ctx context.Context, domain string) *policy {
	name := queryName(domain)
	// What is too long is malformed; queryName shortens it for macros only.
	if !checkable(name) || len(domain) > maxName {
		return &policy{result: None, why: fmt.Errorf("%q: %w", domain, errNotDomain)}
	}
	ans, err := p.ask(ctx, name, TypeTXT)
	switch {
	case err != nil:
		return &policy{result: TempError, why: err}
	case ans.NXDOMAIN:
		return &policy{result: None, why: fmt.Errorf("%q: %w", name, errNoName)}
	}
	text, found := "", 0
	for _, s := range ans.Strings {
		if IsRecord(s) {
			text = s
			found++
		}
	}
	switch {
	case found == 0:
		return &policy{result: None, why: fmt.Errorf("%q: %w", name, errNoRecord)}
	case found > 1:
		return &policy{result: PermError, why: fmt.Errorf("%q: %w", name, errRecords)}
	}
	if p.octets += len(text); p.most > 0 && p.octets > maxRecords {
		p.spent = true
		return &policy{result: TempError, why: ErrTooComplex}
	}
	r, err := Parse(text)
	if err != nil {
		return &policy{result: PermError, why: fmt.Errorf("record of %q: %w", name, err)}
	}
	return &policy{record: r}
}
