package spf

import (
	"context"
	"errors"
	"fmt"
)

// policy is what a domain publishes: a record, or why there is none.
type policy struct {
	record *Record // nil: result and why say what check_host() returns
	result Result  // None, TempError or PermError
	why    error
}

// policies holds the records of the domains that were asked, over one
// snapshot of DNS.
type policies struct {
	*snapshot
	domains map[string]*policy
}

func newPolicies(s *snapshot) *policies {
	return &policies{snapshot: s, domains: make(map[string]*policy)}
}

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
	r, err := Parse(text)
	if err != nil {
		return &policy{result: PermError, why: fmt.Errorf("record of %q: %w", name, err)}
	}
	return &policy{record: r}
}
