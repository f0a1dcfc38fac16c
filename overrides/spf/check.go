package spf

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// What live evaluations may cost: all of them together, for one address.
const (
	LiveTimeout   = 1500 * time.Millisecond
	LiveQuestions = 50
)

// Query is what check_host() is asked.
type Query struct {
	// Addr is the client's address. An IPv4-mapped address is the IPv4
	// address, RFC 7208, section 5; a zone is ignored.
	Addr netip.Addr
	// Domain is the domain to check; empty: the sender's.
	Domain string
	// Sender is the MAIL FROM address. Without a local part it is
	// postmaster's, RFC 7208, section 4.3; empty: postmaster@DOMAIN.
	Sender string
	// HELO is the name the client gave; empty: the domain.
	HELO string
	// Explain asks for the explanation of a Fail, one more DNS question.
	Explain bool
}

// Step is a term on the way to a result, and the domain that published it.
type Step struct {
	Domain string `json:"domain"`
	Term   string `json:"term"`
}

// Outcome is a result and how it came about.
type Outcome struct {
	Result Result
	// Path leads to the term that decided: the includes and redirects that
	// were followed, then the term itself. It is empty if no term matched, or
	// if the domain itself could not be used.
	Path []Step
	// Why explains None, TempError and PermError; nil otherwise.
	Why error
	// Explanation is the text of exp for a Fail, if asked for; "" if there is
	// none that is usable, RFC 7208, section 6.2.
	Explanation string
	// Lookups counts the terms that asked DNS (ten at most are allowed),
	// Voids those of which an answer had no record (two at most).
	Lookups, Voids int
	// TTL is the least TTL of the answers that took part; 0 without any.
	TTL time.Duration
}

// Mechanism returns the term that decided, or "default" as RFC 7208, section
// 9.1, has it.
func (o *Outcome) Mechanism() string {
	if len(o.Path) == 0 {
		return "default"
	}
	return o.Path[len(o.Path)-1].Term
}

var errNoAddress = errors.New("no address to check")

// CheckHost is check_host() of RFC 7208, section 4. Errors of DNS are results,
// as that document has it; ctx bounds the time, and an evaluation that needs DNS
// after its end is a TempError.
func CheckHost(ctx context.Context, r Resolver, q Query) Outcome {
	if !q.Addr.IsValid() {
		return Outcome{Result: None, Why: errNoAddress}
	}
	q.Addr = q.Addr.Unmap().WithZone("")
	c := newCheck(ctx, newPolicies(r, 0), q)
	v := c.host(c.domain)
	out := Outcome{
		Result: v.result, Path: v.path, Why: v.why,
		Lookups: c.lookups, Voids: c.voids, TTL: c.policies.leastTTL(),
	}
	if out.Result == Fail && q.Explain {
		out.Explanation = c.explain(v)
	}
	return out
}

// newCheck begins the evaluation of q. Its identity is that of RFC 7208, sections
// 2.4 and 4.3.
func newCheck(ctx context.Context, p *policies, q Query) *check {
	c := &check{ctx: ctx, policies: p, ip: q.Addr}
	domain := strings.TrimSuffix(q.Domain, ".")
	helo := strings.TrimSuffix(q.HELO, ".")
	sender := q.Sender
	if sender == "" {
		sender = cmp.Or(domain, helo)
	}
	at := strings.LastIndexByte(sender, '@')
	c.local, c.origin = "postmaster", ascii(sender[at+1:])
	if at > 0 {
		c.local = sender[:at]
	}
	c.domain = cmp.Or(ascii(domain), c.origin)
	c.helo = cmp.Or(ascii(helo), c.domain)
	return c
}

// explain fetches and expands the explanation, RFC 7208, section 6.2. Whatever
// goes wrong, there is none. It counts against no limit.
func (c *check) explain(v verdict) string {
	if v.record == nil || v.record.exp == nil {
		return ""
	}
	c.explaining = true
	name, err := c.target(v.record.exp, v.domain)
	if err != nil || !askable(name) {
		return ""
	}
	ans, err := c.policies.ask(c.ctx, name, TypeTXT)
	if err != nil || len(ans.Strings) != 1 {
		return ""
	}
	ms, err := parseMacroString(ans.Strings[0], true)
	if err != nil {
		return ""
	}
	text, err := c.expand(ms, v.domain)
	if err != nil || len(text) > maxExplanation {
		return ""
	}
	return text
}

// maxExplanation bounds an explanation, which goes into an SMTP reply; in bytes.
const maxExplanation = 4096
