package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Limits of RFC 7208, section 4.6.4.
const (
	maxLookups = 10
	maxVoids   = 2
	maxMX      = 10
	maxPTR     = 10
)

// check is one evaluation of check_host(), with its counters. It is used once,
// by one goroutine.
type check struct {
	ctx      context.Context
	policies *policies
	ip       netip.Addr // unmapped, no zone
	domain   string     // what is checked
	local    string     // %{l}
	origin   string     // %{o}
	helo     string     // %{h}
	lookups  int
	voids    int
	void     int // the latest term that was void, by its number among lookups

	// sweep is nil when one address is evaluated. Else the evaluation stands
	// for all addresses that it cannot tell apart, and stops at a live term.
	sweep      *sweep
	explaining bool // the explanation is being made, for which nothing counts
}

// verdict is the result of one record, or of the lack of one.
type verdict struct {
	result Result
	why    error
	path   []Step
	domain string  // whose record decided, redirects followed
	record *Record // nil: none did
}

var (
	errNotDomain = errors.New("no domain name of two labels or more")
	errLookups   = errors.New("more than 10 terms ask DNS")
	errVoids     = errors.New("more than 2 terms found nothing")
	errMX        = errors.New("more than 10 MX records")
	errLive      = errors.New("depends on the address")
)

// verdictOf is what an error ends the evaluation with.
func verdictOf(err error) verdict {
	v := verdict{result: TempError, why: err}
	switch {
	case errors.Is(err, errLive):
		v.result = Live
	case errors.Is(err, errLookups), errors.Is(err, errVoids), errors.Is(err, errMX):
		v.result = PermError
	}
	return v
}

// host evaluates the record of a domain: check_host() without the identity.
func (c *check) host(domain string) verdict {
	p := c.policies.of(c.ctx, domain)
	if p.record == nil {
		return verdict{result: p.result, why: p.why}
	}
	return c.evaluate(p.record, domain)
}

// evaluate takes the terms in order until one decides, RFC 7208, sections
// 4.6.2 and 4.7; then redirect, section 6.1; then Neutral.
func (c *check) evaluate(r *Record, domain string) verdict {
	for _, step := range r.steps {
		t := &step[0]
		switch {
		case t.Network.IsValid():
			if res, t := c.matchRun(step); res != None {
				return c.decided(r, domain, res, t)
			}
			continue
		case t.Kind == KindAll:
			return c.decided(r, domain, t.Qualifier, t)
		}
		matched, inner := c.match(t, domain)
		if inner.result != None {
			return c.through(inner, t, domain)
		}
		if matched {
			v := c.decided(r, domain, t.Qualifier, t)
			v.path = append(v.path, inner.path...)
			return v
		}
	}
	// Reached only if there is no "all", so the rule of section 5.1 that a
	// redirect beside it is ignored needs no code.
	if r.redirect != nil {
		return c.follow(r.redirect, domain)
	}
	return verdict{result: Neutral, domain: domain, record: r}
}

// decided is the verdict when a term matched. A sweep has no use for the path.
func (c *check) decided(r *Record, domain string, res Result, t *Term) verdict {
	v := verdict{result: res, domain: domain, record: r}
	if c.sweep == nil {
		v.path = []Step{{domain, t.Text}}
	}
	return v
}

// through puts the term in front of the path of a verdict that came by it.
func (c *check) through(v verdict, t *Term, domain string) verdict {
	if c.sweep == nil {
		v.path = append([]Step{{domain, t.Text}}, v.path...)
	}
	if v.result == Live {
		c.sweep.noteLive(domain, t)
	}
	return v
}

// follow evaluates redirect, RFC 7208, section 6.1.
func (c *check) follow(t *Term, domain string) verdict {
	name, err := c.begin(t, domain)
	if err != nil {
		return c.through(verdictOf(err), t, domain)
	}
	v := c.host(name)
	if v.result == None {
		v.result, v.why = PermError, fmt.Errorf("redirect to %q: %w", name, v.why)
	}
	return c.through(v, t, domain)
}

// begin counts a term that asks DNS and returns the name that it is about.
func (c *check) begin(t *Term, domain string) (string, error) {
	if c.lookups++; c.lookups > maxLookups {
		return "", errLookups
	}
	if c.sweep != nil && t.Live() {
		return "", errLive
	}
	return c.target(t, domain)
}

// match evaluates a mechanism other than all, ip4 and ip6. A result other than
// None in the verdict ends the evaluation; else the verdict's path is how an
// include matched.
func (c *check) match(t *Term, domain string) (bool, verdict) {
	name, err := c.begin(t, domain)
	if err != nil {
		return false, verdictOf(err)
	}
	// RFC 8616, section 4: a term with a local part that is not ASCII in its
	// name never matches.
	if !isASCII(c.local) && t.spec.uses("sl") {
		return false, verdict{}
	}
	if t.Kind == KindInclude {
		return c.include(name)
	}
	if !askable(name) {
		// RFC 7208, section 4.8, leaves this open; there is no such name, so
		// the term does not match.
		return false, verdict{}
	}
	var matched bool
	switch t.Kind {
	case KindA:
		matched, err = c.matchHost(t, name)
	case KindMX:
		matched, err = c.matchMX(t, name)
	case KindExists:
		matched, err = c.matchExists(name)
	case KindPTR:
		matched, err = c.matchPTR(name)
	}
	if err != nil {
		return false, verdictOf(err)
	}
	return matched, verdict{}
}

// include evaluates another domain's record and translates its result by the
// table of RFC 7208, section 5.2.
func (c *check) include(name string) (bool, verdict) {
	v := c.host(name)
	switch v.result {
	case Pass:
		return true, verdict{path: v.path}
	case Fail, SoftFail, Neutral:
		return false, verdict{}
	case None:
		v.result, v.why = PermError, fmt.Errorf("include of %q: %w", name, v.why)
	}
	return false, v
}

// matchRun compares with a run of ip4 and ip6 terms and returns the qualifier
// of the first that matches, None if none does.
func (c *check) matchRun(step []Term) (Result, *Term) {
	if c.sweep != nil {
		return c.sweep.matchRun(step), nil
	}
	for i := range step {
		if t := &step[i]; t.Network.Contains(c.ip) {
			return t.Qualifier, t
		}
	}
	return None, nil
}

// addrType is the family asked: the client's, RFC 7208, section 5.
func (c *check) addrType(t *Term) (typ Type, bits int) {
	if c.ip.Is4() {
		return TypeA, t.Bits4
	}
	return TypeAAAA, t.Bits6
}

// matchHost is the mechanism a, RFC 7208, section 5.3, and each host of mx.
func (c *check) matchHost(t *Term, name string) (bool, error) {
	typ, bits := c.addrType(t)
	ans, err := c.ask(name, typ)
	if err != nil {
		return false, err
	}
	if c.sweep != nil {
		return c.sweep.matchAddrs(question{name, typ}, bits, ans.Addrs), nil
	}
	return slices.ContainsFunc(ans.Addrs, func(a netip.Addr) bool {
		p, err := a.Prefix(bits)
		return err == nil && p.Contains(c.ip)
	}), nil
}

// matchMX is the mechanism mx, RFC 7208, section 5.4. More than ten hosts are
// an error whether or not one of the first ten would match, so that the order
// of the answer does not change the result.
func (c *check) matchMX(t *Term, name string) (bool, error) {
	ans, err := c.ask(name, TypeMX)
	if err != nil {
		return false, err
	}
	if len(ans.Hosts) > maxMX {
		return false, fmt.Errorf("%q: %w", name, errMX)
	}
	for _, h := range ans.Hosts {
		if h = queryName(h); !askable(h) {
			continue // a null MX, RFC 7505
		}
		if matched, err := c.matchHost(t, h); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// matchExists is the mechanism exists, RFC 7208, section 5.7: A records are
// asked for, of whatever family the client is.
func (c *check) matchExists(name string) (bool, error) {
	ans, err := c.ask(name, TypeA)
	return len(ans.Addrs) > 0, err
}

// matchPTR is the mechanism ptr, RFC 7208, section 5.5.
func (c *check) matchPTR(domain string) (bool, error) {
	names, err := c.validated()
	return slices.ContainsFunc(names, func(n string) bool { return below(n, domain) }), err
}

// validated returns the names of the address that lead back to it, lower case.
// DNS errors here make a name go away and are no temperror, RFC 7208, section
// 5.5, unless nothing can be asked any more.
func (c *check) validated() ([]string, error) {
	ans, err := c.ask(arpa(c.ip), TypePTR)
	if err != nil {
		return nil, c.serious(err)
	}
	typ, _ := c.addrType(new(Term))
	var names []string
	for _, h := range ans.Hosts[:min(maxPTR, len(ans.Hosts))] {
		if h = queryName(h); !askable(h) {
			continue
		}
		ans, err := c.ask(h, typ)
		if err = c.serious(err); err != nil {
			return nil, err
		}
		if slices.Contains(ans.Addrs, c.ip) {
			names = append(names, h)
		}
	}
	return names, nil
}

// serious keeps the errors that end even what may ignore DNS errors.
func (c *check) serious(err error) error {
	if verdictOf(err).result == TempError && !c.policies.spent {
		return nil
	}
	return err
}

// ask asks one question, and counts a term of which an answer has no record as
// void, once: RFC 7208, section 4.6.4, limits the number of terms. Three MX
// hosts without IPv6 are common, and no reason to void a record for all of IPv6.
func (c *check) ask(name string, t Type) (Answer, error) {
	ans, err := c.policies.ask(c.ctx, name, t)
	if err != nil {
		return Answer{}, err
	}
	if len(ans.Addrs) == 0 && len(ans.Hosts) == 0 && !c.explaining && c.void != c.lookups {
		c.void = c.lookups
		if c.voids++; c.voids > maxVoids {
			return Answer{}, fmt.Errorf("%s %q: %w", t, name, errVoids)
		}
	}
	return ans, nil
}
