package spf

import (
	"strconv"
	"time"
)

// target returns the name that a term is about: its domain-spec expanded, or
// the current domain, RFC 7208, section 4.8.
func (c *check) target(t *Term, domain string) (string, error) {
	switch {
	case t.spec == nil:
		return queryName(domain), nil
	case t.target != "":
		return t.target, nil
	}
	key := nameKey{t, domain, c.ip.Is6()}
	if name, ok := c.policies.names[key]; ok {
		return name, nil
	}
	name, err := c.expand(t.spec, domain)
	if err != nil {
		return "", err
	}
	name = queryName(name)
	if !t.Live() { // what %{p} asks counts each time
		c.policies.names[key] = name
	}
	return name, nil
}

func (c *check) expand(ms *macroString, domain string) (string, error) {
	return ms.expand(func(letter byte) (string, error) { return c.macro(letter, domain) })
}

// macro returns the value of a macro letter, RFC 7208, sections 7.2 and 7.3.
func (c *check) macro(letter byte, domain string) (string, error) {
	switch letter {
	case 's':
		return c.local + "@" + c.origin, nil
	case 'l':
		return c.local, nil
	case 'o':
		return c.origin, nil
	case 'd':
		return domain, nil
	case 'i':
		return dotted(c.ip), nil
	case 'p':
		return c.validatedName(domain)
	case 'v':
		return family(c.ip), nil
	case 'h':
		return c.helo, nil
	case 'c':
		return c.ip.String(), nil
	case 'r':
		return "unknown", nil // RFC 7208, section 7.3: where there is no name to give
	}
	return strconv.FormatInt(time.Now().Unix(), 10), nil // 't'
}

// validatedName is %{p}: the domain itself if it is among the validated names,
// else a subdomain, else any, else "unknown". The limit of ten counts terms, and
// the term that the macro is in has been counted: RFC 7208, section 4.6.4.
func (c *check) validatedName(domain string) (string, error) {
	names, err := c.validated()
	if err != nil {
		return "", err
	}
	domain = queryName(domain)
	best := "unknown"
	for _, n := range names {
		switch {
		case n == domain:
			return n, nil
		case below(n, domain) && !below(best, domain), best == "unknown":
			best = n
		}
	}
	return best, nil
}
