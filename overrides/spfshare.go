package overrides

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"dnsblproxy/overrides/spf"
)

// compiler compiles a domain's SPF record once for all rules that name the
// domain. What it came to serves them until it is nearly time to renew it.
type compiler struct {
	resolver Resolver
	answers  *answers // which live evaluation will want

	mu   sync.Mutex
	jobs map[string]*compilation // by domain and includes that are left out
}

func newCompiler(r Resolver, a *answers) *compiler {
	return &compiler{resolver: r, answers: a, jobs: make(map[string]*compilation)}
}

// compilation is one record, compiled or being so. All but done is there once
// done is closed, and immutable from then on.
type compilation struct {
	done chan struct{}
	at   time.Time // when it was ready

	// whole is what the record comes to, for whoever asks. It is nil if DNS
	// hides a part, which depends on what was open before: m has the rest,
	// and broad says why its live terms are refused, if they are.
	whole *result
	m     *spf.Map // nil with err
	broad error
	err   error
}

// holds reports whether the compilation is under way, or serves at now. A good one
// does for four fifths of its TTL: who renews it comes after that.
func (c *compilation) holds(now time.Time) bool {
	select {
	case <-c.done:
		return c.whole != nil && c.whole.err == nil && now.Sub(c.at) < clampTTL(c.whole.ttl)*4/5
	default:
		return true
	}
}

// compile returns the compiled record of the domain, in which the includes of
// the domains in except are left out. It is the work of the first who asks;
// others wait for it.
func (p *compiler) compile(ctx context.Context, domain string, except []string) *compilation {
	key := strings.Join(append([]string{domain}, slices.Sorted(slices.Values(except))...), " ")
	for {
		now := time.Now()
		p.mu.Lock()
		c := p.jobs[key]
		if c == nil || !c.holds(now) {
			maps.DeleteFunc(p.jobs, func(_ string, old *compilation) bool { return !old.holds(now) })
			c = &compilation{done: make(chan struct{})}
			p.jobs[key] = c
			p.mu.Unlock()
			p.run(ctx, c, domain, except)
			return c
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return &compilation{err: ctx.Err()}
		case <-c.done:
		}
		// Who did the work may have been stopped, or out of time before us.
		cut := errors.Is(c.err, context.Canceled) || errors.Is(c.err, context.DeadlineExceeded)
		if !cut || ctx.Err() != nil {
			return c
		}
	}
}

func (p *compiler) run(ctx context.Context, c *compilation, domain string, except []string) {
	defer func() {
		c.at = time.Now()
		close(c.done)
	}()
	m, err := spf.Compile(ctx, withoutIncludes(keeper{answers: p.answers, next: p.resolver, anew: true}, except), domain, spf.CompileOptions{Follow: len(except) > 0})
	if err != nil {
		c.err = fmt.Errorf("SPF of %q: %w", domain, err)
		return
	}
	r := withoutIncludes(keeper{answers: p.answers, next: p.resolver}, except)
	if m.Has(spf.TempError) {
		c.m, c.broad = m, tooBroad(ctx, r, m.Domain(), fromMap(m, nil))
	} else {
		c.whole = wholeResult(ctx, r, m)
		if !m.Has(spf.PermError) {
			c.whole.unmet = unmet(m.Tree, except)
		}
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) { // before its live terms could be judged
		c.whole, c.err = nil, fmt.Errorf("SPF of %q: %w", domain, err)
	}
}

// result is what the compilation comes to for a source that opens prev. What DNS
// cannot say for now (temperror) is as before; what it does say takes effect at once,
// also that there is no record any more, or a broken one.
func (c *compilation) result(prev *content) result {
	switch {
	case c.err != nil:
		tooComplex := errors.Is(c.err, spf.ErrTooComplex)
		return result{err: c.err, lasting: tooComplex, ttl: complexPause}
	case c.whole == nil:
		err := fmt.Errorf("SPF of %q: %s", c.m.Domain(), reasons(c.m, spf.TempError))
		open, sure := fromMap(c.m, prev), fromMap(c.m, nil)
		if c.broad != nil {
			open, sure, err = open.withoutLive(), sure.withoutLive(), fmt.Errorf("%w; %w", c.broad, err)
		}
		return result{content: open, sure: sure, err: err, ttl: c.m.TTL, warnings: warningsOf(c.m)}
	}
	r := *c.whole
	r.age = time.Since(c.at)
	return r
}
