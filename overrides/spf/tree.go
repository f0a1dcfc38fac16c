package spf

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Bounds of the tree of a hostile domain: one that includes itself many times, and
// one with thousands of terms of which each finds thousands of addresses.
const (
	maxNodes = 256
	maxParts = 1 << 15 // terms and addresses
)

// Node is a domain in the tree of includes and redirects, for people to read.
type Node struct {
	// Term led here ("include:example.net"); empty at the root.
	Term   string `json:"term,omitempty"`
	Domain string `json:"domain"`
	// Record is the record as published, empty if there is none.
	Record string `json:"record,omitempty"`
	// Why says why there is no usable record; empty otherwise.
	Why string `json:"why,omitempty"`
	// TTL is that of the TXT answer, in seconds.
	TTL int `json:"ttl"`
	// Lookups counts the terms of this record, and of those below, that ask
	// DNS. What one evaluation counts may be less.
	Lookups int `json:"lookups"`
	// Uses are the record's terms that ask DNS.
	Uses []Use `json:"uses,omitempty"`
}

// Use is a term that asks DNS, with what it found during the compilation.
type Use struct {
	Term string `json:"term"`
	Live bool   `json:"live,omitempty"`
	// Asked says that some evaluation came as far as this term, or that
	// CompileOptions.Follow led there.
	Asked bool `json:"asked"`
	// TTL is the least of the answers, in seconds; 0 if there were none.
	TTL int `json:"ttl"`
	// Names are the hosts whose addresses were asked for, Addrs the addresses.
	Names []string     `json:"names,omitempty"`
	Addrs []netip.Addr `json:"addrs,omitempty"`
	// Why has the DNS errors met.
	Why string `json:"why,omitempty"`
	// Node is the domain that an include or redirect leads to; nil if it was
	// not asked.
	Node *Node `json:"node,omitempty"`
}

// tree walks the records from what the sweep has asked. It asks nothing more,
// but with follow for the terms at which only live evaluations arrive.
func (s *sweep) tree(ctx context.Context, q Query) *Node {
	c := newCheck(ctx, s.policies, q)
	c.sweep = s
	s.left, s.room = maxNodes, maxParts
	return s.node(c, "", c.domain, maxLookups+1)
}

func (s *sweep) node(c *check, term, domain string, depth int) *Node {
	s.left--
	n := &Node{Term: term, Domain: domain}
	p, ok := s.policies.domains[domain]
	if !ok {
		return n
	}
	n.TTL = seconds(s.policies.replies[question{queryName(domain), TypeTXT}].answer.TTL)
	if p.record == nil {
		n.Why = oneLine(p.why)
		return n
	}
	n.Record = p.record.text
	ended := false
	for i := range p.record.terms {
		t := &p.record.terms[i]
		ended = ended || t.Kind == KindAll
		if !t.Kind.Asks() {
			continue
		}
		if s.room--; s.room < 0 {
			break
		}
		s.asks = s.follow && s.beyond && !ended
		c.ip = firstOf(false)
		u := s.use(c, t, domain, depth)
		if !u.Asked && t.spec.uses("v") {
			c.ip = firstOf(true)
			u = s.use(c, t, domain, depth)
		}
		n.Lookups++
		if u.Node != nil {
			n.Lookups += u.Node.Lookups
		}
		n.Uses = append(n.Uses, u)
		s.beyond = s.beyond || u.Live
	}
	return n
}

func (s *sweep) use(c *check, t *Term, domain string, depth int) Use {
	u := Use{Term: t.Text, Live: t.Live()}
	if u.Live {
		u.Asked = slices.Contains(s.live, Step{domain, t.Text})
		return u
	}
	name, err := c.target(t, domain)
	if err != nil {
		return u
	}
	switch t.Kind {
	case KindInclude, KindRedirect:
		if s.asks {
			s.policies.of(c.ctx, name)
		}
		if _, asked := s.policies.domains[name]; asked {
			u.Asked = true
			if depth > 0 && s.left > 0 {
				u.Node = s.node(c, t.Text, name, depth-1)
			}
		}
	case KindMX:
		if r := s.found(c, &u, question{name, TypeMX}); r != nil {
			for _, h := range r.answer.Hosts[:min(maxMX, len(r.answer.Hosts))] {
				s.found(c, &u, question{queryName(h), TypeA})
				s.found(c, &u, question{queryName(h), TypeAAAA})
			}
		}
	case KindA:
		s.found(c, &u, question{name, TypeAAAA})
		s.found(c, &u, question{name, TypeA})
	case KindExists:
		s.found(c, &u, question{name, TypeA})
	}
	return u
}

// found adds what a question gave; nil if it was not asked.
func (s *sweep) found(c *check, u *Use, q question) *reply {
	if s.asks && askable(q.name) {
		_, _ = s.policies.ask(c.ctx, q.name, q.t) // a failure is among the replies
	}
	r, ok := s.policies.replies[q]
	if !ok {
		return nil
	}
	if r.err != nil {
		u.Asked, u.Why = true, oneLine(r.err)
		return &r
	}
	if ttl := seconds(r.answer.TTL); !u.Asked || ttl < u.TTL {
		u.TTL = ttl
	}
	u.Asked = true
	if q.t != TypeMX && !slices.Contains(u.Names, q.name) {
		u.Names = append(u.Names, q.name)
	}
	addrs := r.answer.Addrs[:min(len(r.answer.Addrs), max(s.room, 0))]
	s.room -= len(addrs)
	u.Addrs = append(u.Addrs, addrs...)
	return &r
}

func seconds(d time.Duration) int { return int(d / time.Second) }
