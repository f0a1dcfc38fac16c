package overrides

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// gather is how long a build waits for further sources, so that a thousand
// domains loaded at start do not cost a thousand builds.
const gather = 50 * time.Millisecond

// Run loads all sources and keeps them fresh until ctx ends, then waits for
// everything it started. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	if e.run != nil {
		e.mu.Unlock()
		return errors.New("running the rule engine: it runs already")
	}
	e.run = ctx
	e.startAll()
	e.mu.Unlock()
	e.sweepState()
	e.wantBuild()

	var own sync.WaitGroup
	own.Go(func() { e.buildLoop(ctx) })
	own.Go(func() { e.pollLoop(ctx) })
	<-ctx.Done()
	own.Wait()
	e.mu.Lock()
	e.stopped = true // nothing joins e.wg from here on
	e.mu.Unlock()
	e.wg.Wait()
	return nil
}

// buildLoop is the one goroutine that builds for sources.
func (e *Engine) buildLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.dirty:
		}
		// At most half of one processor goes into building, and no change
		// waits longer than a second for it.
		e.building.Lock()
		pause := max(gather, min(e.took, time.Second))
		e.building.Unlock()
		if !wait(ctx, pause) {
			return
		}
		e.rebuild()
	}
}

// wait reports false if ctx ended before d was over.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// pollLoop looks at the rule files and at the rules' last days.
func (e *Engine) pollLoop(ctx context.Context) {
	for {
		e.pollFiles()
		e.logExpired(time.Now())
		if !wait(ctx, pollEvery) {
			return
		}
	}
}

// pollFiles reads what has changed. Files are read outside the lock.
func (e *Engine) pollFiles() {
	e.mu.Lock()
	var files []*source
	for _, s := range e.sources {
		if s.file != nil && s.active(time.Now()) {
			files = append(files, s)
		}
	}
	e.mu.Unlock()
	for _, s := range files {
		e.pollFile(s)
	}
}

func (e *Engine) pollFile(s *source) {
	c, err := s.file.read()
	e.looked(s.key, c, err)
}

// looked judges what a look at a rule file found.
func (e *Engine) looked(key sourceKey, c *content, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current(key)
	if s == nil {
		return // gone with a reload meanwhile
	}
	if !errors.Is(err, errBusy) {
		s.busy = 0
	} else if s.busy++; s.busy < maxBusy {
		return // looked at again in a second
	}
	first := !s.tried
	s.tried = true
	if first {
		e.wantBuild()
	}
	if err == nil && c == nil && !s.file.good {
		err = s.err // unchanged, and no better
	}
	now := time.Now()
	switch {
	case err != nil:
		e.failed(s, err, s.content != nil, now)
	case c == nil && s.file.good:
		e.recovered(s, now) // unchanged since it was read without fault
	case c != nil:
		e.recovered(s, now)
		e.adoptContent(s, c)
	}
}

// current returns the source of this key in the configuration in force, which
// a reload may have made another object, or nil. The caller holds mu.
func (e *Engine) current(key sourceKey) *source {
	for _, s := range e.sources {
		if s.key == key {
			return s
		}
	}
	return nil
}

// failed notes a failed attempt, logged once per change; keeps says that the
// last good set stays. The caller holds mu.
func (e *Engine) failed(s *source, err error, keeps bool, now time.Time) {
	again := s.err != nil && s.err.Error() == err.Error()
	if again && s.file != nil && now.Sub(s.errAt) < time.Hour {
		return // the same fault of the same file is one failure an hour
	}
	s.err, s.errAt = err, now
	if s.failing.IsZero() {
		s.failing = now
	}
	s.failures++
	s.retries++
	if !again {
		e.log.Warn("rule source failed", s.attr(), slog.Any("error", err), slog.Bool("keeps_last_good", keeps))
	}
}

// recovered notes a good attempt. The caller holds mu.
func (e *Engine) recovered(s *source, now time.Time) {
	if s.err != nil {
		e.log.Info("rule source recovered", s.attr(), slog.Duration("failed_for", now.Sub(s.failing)))
	}
	s.err, s.failing, s.retries = nil, time.Time{}, 0
	s.doubt, s.sure = time.Time{}, nil
	s.success = now
}

// adoptContent puts a good set into force if it differs. The caller holds mu.
func (e *Engine) adoptContent(s *source, c *content) {
	if s.content.equal(c) {
		return
	}
	if c.empty() && !s.content.empty() { // on purpose or not: nobody forgets it in silence
		e.log.Warn("rule source opens nothing any more", s.attr())
	} else {
		n4, n6 := c.counts()
		log, text := e.log.Info, "rule source loaded"
		if s.err != nil {
			log, text = e.log.Warn, "rule source loaded in part"
		}
		log(text, s.attr(),
			slog.Uint64("ipv4", n4.lo), slog.Float64("ipv6", n6.float()), slog.Int("domains", len(c.domains)))
	}
	s.content, s.unkept = c, true
	e.wantBuild()
}

// logExpired says once that a rule's last day is over, or that of lines of a
// rule file, and has the table built anew, which counts what it held when it
// was built.
func (e *Engine) logExpired(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.rules {
		over := r.Enabled && ended(r.end(), now.Unix())
		before, known := e.expired[r.Key()]
		if over && !before {
			e.log.Warn("rule expired and does nothing any more", slog.String("rule", r.Name), slog.String("expires", r.Expires.Format(time.DateOnly)))
		}
		if over && !before && known {
			e.wantBuild()
		}
		e.expired[r.Key()] = over
	}
	for _, s := range e.sources {
		if s.file == nil || s.content == nil || s.logged == s.content && now.Before(s.nextEnd) {
			continue
		}
		first := s.logged != s.content
		lines, next := s.content.endedBetween(s.nextEnd, now, first)
		if lines > 0 {
			e.log.Info("lines of a rule file ended and do nothing any more", s.attr(), slog.Int("entries", lines))
		}
		if lines > 0 && !first {
			e.wantBuild()
		}
		s.logged, s.nextEnd = s.content, next
	}
}
