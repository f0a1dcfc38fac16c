package overrides

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"dnsblproxy/overrides/spf"
)

// Resolver answers one DNS question; see there. It is the only way in which
// this package asks the DNS.
type Resolver = spf.Resolver

// Times of refreshing. A TTL below a minute would load the DNS for nothing, one
// above a day would keep what its owner has long changed.
const (
	minTTL     = time.Minute
	maxTTL     = 24 * time.Hour
	firstRetry = 30 * time.Second
	lastRetry  = 10 * time.Minute
	giveUp     = 24 * time.Hour // after which a set that cannot be confirmed goes

	recallGrace = time.Hour // of giveUp, left to an older set after a start: the network may come up after us
)

// fetchTimeout bounds one attempt: an SPF record asks a few dozen questions of
// four seconds at most, a feed has 30 s of its own.
const fetchTimeout = 2 * time.Minute

// startAll starts the goroutines of all sources that are loaded from outside.
// The caller holds mu, and Run is running.
func (e *Engine) startAll() {
	for _, s := range e.sources {
		if s.fetch == nil || !s.rule.Enabled {
			continue
		}
		ctx, cancel := context.WithCancel(e.run)
		s.stop = cancel
		e.wg.Go(func() {
			defer cancel()
			e.follow(ctx, s)
		})
	}
}

// equip gives a source what loads it. The caller holds mu.
func (e *Engine) equip(s *source) {
	switch s.key.kind {
	case KindSPF:
		except := exceptSPF(s.rule)
		s.fetch = func(ctx context.Context, have known) result {
			return e.compiler.compile(ctx, s.key.spec, except).result(have.content)
		}
	case KindA, KindMX:
		s.fetch = func(ctx context.Context, have known) result {
			return fetchHosts(ctx, e.opts.Resolver, s.key.spec, s.key.kind == KindMX, have.content)
		}
	case KindURL:
		s.fetch = e.newFeedFetcher(s.rule).fetch
	}
}

// follow loads one source again and again until ctx ends. A rule that is over may
// count again when a clock is set right.
func (e *Engine) follow(ctx context.Context, s *source) {
	for {
		e.mu.Lock()
		pause := time.Until(s.next)
		if !s.active(time.Now()) {
			pause = minTTL
		}
		if s.lost {
			pause = min(pause, minTTL)
		}
		e.mu.Unlock()
		if pause > 0 {
			if !wait(ctx, pause) {
				return
			}
			e.keep(s) // again, if that failed
			continue
		}
		select {
		case <-ctx.Done():
			return
		case e.slots <- struct{}{}:
		}
		r := e.attempt(ctx, s)
		<-e.slots
		if ctx.Err() != nil {
			return // cut short, which says nothing about the source
		}
		e.accept(s, r)
		e.keep(s)
	}
}

// attempt fetches once. What could not be confirmed for a day is not what a
// partial answer is completed from, and goes.
func (e *Engine) attempt(ctx context.Context, s *source) result {
	e.mu.Lock()
	have, over := s.known, !s.doubt.IsZero() && time.Since(s.doubt) >= giveUp
	e.mu.Unlock()
	if over {
		have.content = have.sure
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r := s.fetch(ctx, have)
	if r.over = over; over && r.err != nil && r.content == nil {
		r.content, r.drop = have.content, r.drop || have.content.empty()
	}
	return r
}

// doubted notes what a failed attempt has confirmed all the same, and for the
// first one since when the rest is in doubt. A day later that goes, and a new
// day begins for what this one had confirmed. A feed's set is never in doubt.
// The caller holds mu.
func (s *source) doubted(r result, now time.Time) {
	switch {
	case s.key.kind == KindURL:
	case s.doubt.IsZero() || r.over:
		s.doubt, s.sure = now, r.sure
	default:
		s.sure = s.sure.and(r.sure)
	}
}

// accept judges what an attempt brought and plans the next one.
func (e *Engine) accept(s *source, r result) {
	if r.content != nil && s.key.kind != KindURL {
		// A feed has been through the guard, and its last good set stays. An
		// SPF record or a host that opens too much does so from now on.
		if err := guard(s.rule, r.content); err != nil {
			r = result{err: err, lasting: true, ttl: r.ttl, age: r.age, drop: true}
		}
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.tried {
		s.tried = true
		e.wantBuild()
	}
	if r.err != nil {
		s.doubted(r, now)
		e.failed(s, r.err, !r.drop && !s.content.empty(), now)
	} else {
		e.recovered(s, now)
		e.warn(s, r)
	}
	s.warnings, s.shrunk = r.warnings, r.shrunk
	switch {
	case r.err != nil && s.content == nil && r.content.empty():
		// Nothing was known, and nothing is.
	case r.content != nil && !r.drop:
		s.valid = r.valid
		e.adoptContent(s, r.content)
	case r.drop && !s.content.empty():
		e.log.Error("rule source opens nothing any more", s.attr(), slog.Any("error", r.err))
		s.content, s.sure, s.unkept = &content{}, nil, true
		e.wantBuild()
	}
	s.next = now.Add(pauseAfter(s, r))
}

// warn says what is new of what a source warns of. The caller holds mu.
func (e *Engine) warn(s *source, r result) {
	for _, w := range r.warnings {
		if !slices.Contains(s.warnings, w) {
			e.log.Warn("rule source warns", s.attr(), slog.String("warning", w))
		}
	}
	if !slices.Equal(s.unmet, r.unmet) && e.current(s.key) == s {
		s.unmet = r.unmet
		for _, p := range e.inVain(s.rule) {
			e.log.Warn("exception does nothing", slog.Any("error", p))
		}
	}
}

// keep writes what the source opens to the state folder, if it has changed
// since, or was confirmed an hour ago. That it opens nothing is kept as well, or a
// restart would find what it did under the name that its rule had before. Only the
// source's goroutine calls it.
func (e *Engine) keep(s *source) {
	e.mu.Lock()
	set := keptSet{s.content, s.success, s.valid}
	due := s.unkept || set.at.Sub(s.kept) >= confirmEvery
	e.mu.Unlock()
	if e.store.dir == "" || set.content == nil || !due {
		return
	}
	err := e.store.save(s.key, set)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil && !s.lost {
		e.log.Warn("set not kept for a restart", s.attr(), slog.Any("error", err))
	} else if err == nil && s.lost {
		e.log.Info("set kept for a restart again", s.attr())
	}
	if s.lost = err != nil; !s.lost {
		s.unkept, s.kept = false, set.at
	}
}

// pauseAfter returns how long to wait for the next attempt.
func pauseAfter(s *source, r result) time.Duration {
	switch {
	case r.err != nil && !r.lasting:
		d := firstRetry << min(max(s.retries-1, 0), 10)
		d = min(d, lastRetry)
		if s.key.kind == KindURL {
			d = min(d, s.rule.refresh())
		}
		return d
	case s.key.kind == KindURL:
		return max(r.ttl, s.rule.refresh())
	}
	return early(clampTTL(r.ttl)) - r.age
}

func clampTTL(ttl time.Duration) time.Duration { return min(max(ttl, minTTL), maxTTL) }

// refresh is how often the rule's feed is asked for.
func (r *Rule) refresh() time.Duration { return cmp.Or(r.Refresh, defaultRefresh) }

// early takes 8 to 12 % off a TTL, so that a set is renewed before it runs out
// and a thousand domains of one TTL do not come all at once.
func early(ttl time.Duration) time.Duration {
	return ttl - time.Duration((0.08+0.04*rand.Float64())*float64(ttl))
}

// guard refuses a set that opens more addresses than the rule permits.
func guard(r *Rule, c *content) error {
	if c == nil {
		return nil
	}
	n4, n6 := c.counts()
	bits4, bits6 := r.limits()
	if n4.above(bits4) {
		return fmt.Errorf("it opens %.0f IPv4 addresses, more than max_v4 = \"/%d\" permits (%.0f); it is refused whole",
			n4.float(), 32-bits4, count{0, 1 << bits4}.float())
	}
	if n6.above(bits6) {
		return fmt.Errorf("it opens %.3g IPv6 addresses, more than max_v6 = \"/%d\" permits; it is refused whole",
			n6.float(), 128-bits6)
	}
	return nil
}
