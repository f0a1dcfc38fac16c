package main

import (
	"context"
	"time"

	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/rdns"
	"dnsblproxy/resolver/upstream"
)

// reverse makes a list of missing reverse DNS.
type reverse struct {
	ctx      context.Context
	dns      spf.Resolver
	deadline time.Duration
	places   chan struct{} // one for each check under way
}

// maxReverse bounds the checks under way; each takes up to twenty questions.
const maxReverse = 512

func newReverse(ctx context.Context, dns spf.Resolver, deadline time.Duration) *reverse {
	return &reverse{ctx: ctx, dns: dns, deadline: deadline, places: make(chan struct{}, maxReverse)}
}

// Start implements resolver.List.
func (r *reverse) Start(a upstream.Ask, done func(upstream.Outcome)) {
	started := time.Now()
	finish := func(o upstream.Outcome) {
		o.Took = time.Since(started)
		done(o)
	}
	go func() {
		select {
		case r.places <- struct{}{}:
			defer func() { <-r.places }()
		default:
			finish(upstream.Outcome{Err: upstream.ErrTimeout})
			return
		}
		ctx, cancel := context.WithTimeoutCause(r.ctx, r.deadline, upstream.ErrTimeout)
		defer cancel()
		v, ttl, err := rdns.Check(ctx, a.Subject, reverseDNS{r.dns})
		o := upstream.Outcome{Err: err}
		if err == nil {
			fillReverse(&o, v, ttl, a.Type)
		}
		finish(o)
	}()
}

// fillReverse makes a list's answer of a verdict. A negative one has no SOA
// of its own: the resolver adds ours.
func fillReverse(o *upstream.Outcome, v rdns.Verdict, ttl uint32, typ uint16) {
	o.Response.TTL = ttl
	switch {
	case v.Code == 0:
		o.Response.Rcode = rcodeNXDomain
	case typ == uint16(spf.TypeA):
		b := v.Code.Addr().As4()
		o.Response.Records = [][]byte{b[:]}
	case typ == uint16(spf.TypeTXT):
		text := v.Text()
		o.Response.Records = [][]byte{append([]byte{byte(len(text))}, text...)}
	}
}

// Open implements resolver.List: reverse DNS is everybody's, and never down
// as a whole.
func (*reverse) Open(rbl.Shape) (why string, vain, open bool) { return "", false, false }

// Quarantined implements resolver.List.
func (*reverse) Quarantined() (string, bool) { return "", false }

// reverseDNS asks as package rdns wants it.
type reverseDNS struct{ dns spf.Resolver }

// Lookup implements rdns.Resolver.
func (r reverseDNS) Lookup(ctx context.Context, name string, qtype uint16) (rdns.Answer, error) {
	a, err := r.dns.Lookup(ctx, name, spf.Type(qtype))
	if err != nil {
		return rdns.Answer{}, err
	}
	return rdns.Answer{Names: a.Hosts, Addrs: a.Addrs, TTL: uint32(a.TTL / time.Second)}, nil
}
