package overrides

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what an Engine needs from outside. The zero value is fine for
// rules whose sources are typed or files.
type Options struct {
	// Resolver answers for the sources spf, a and mx; without one these fail.
	Resolver Resolver

	Transport http.RoundTripper // fetches feeds; nil: http.DefaultTransport

	// UserAgent is sent with feeds' requests, with a version in it.
	UserAgent string

	// StateDir is a folder where the last good set of each source is kept
	// over a restart; empty: nowhere. It is created if need be.
	StateDir string

	Log        *slog.Logger          // nil: no logs
	Registerer prometheus.Registerer // nil: no metrics
}

// Engine owns the sources of all rules: it loads them, keeps them fresh and
// publishes the Table. Table may be called by any number of goroutines.
type Engine struct {
	opts  Options
	log   *slog.Logger
	store store // without a folder nothing is kept
	table atomic.Pointer[Table]

	// building serializes builds, so that an older one never replaces a
	// newer one.
	building sync.Mutex
	dirty    chan struct{} // capacity 1: a build is wanted
	took     time.Duration // of the latest build

	mu      sync.Mutex
	rules   []*Rule
	sources []*source       // of all rules, in order
	expired map[string]bool // rules of which it was logged

	run     context.Context // nil before Run
	stopped bool            // Run is over or ending
	wg      sync.WaitGroup  // goroutines of sources and of live evaluation
	slots   chan struct{}   // bounds fetches at a time
	live    *liveState

	compiler *compiler // of SPF records

	ready     chan struct{}
	readyOnce sync.Once
}

// maxFetches is how many sources are loaded at a time: enough to load a
// thousand domains in seconds, few enough not to flood a resolver.
const maxFetches = 32

// Open validates the rules, reads their files and what is kept in StateDir,
// and builds the first table. Nothing is asked of the network before Run. The
// error joins everything that is wrong, each as a *Problem: an unreadable or
// broken rule file is one of them.
func Open(rules []Rule, opts Options) (*Engine, error) {
	opts.UserAgent = cmp.Or(opts.UserAgent, "dnsblproxy")
	opts.Resolver = cmp.Or[Resolver](opts.Resolver, noResolver{})
	e := &Engine{
		opts:    opts,
		log:     opts.Log,
		store:   store{opts.StateDir},
		dirty:   make(chan struct{}, 1),
		expired: make(map[string]bool),
		slots:   make(chan struct{}, maxFetches),
		ready:   make(chan struct{}),
		live:    newLiveState(),
	}
	e.compiler = newCompiler(opts.Resolver, &e.live.answers)
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.table.Store(&Table{})
	if err := e.Replace(rules); err != nil {
		return nil, err
	}
	if opts.Registerer != nil {
		if err := opts.Registerer.Register(collector{e}); err != nil {
			return nil, fmt.Errorf("registering the metrics of rules: %w", err)
		}
	}
	return e, nil
}

// Table returns the table in force. It is never nil.
func (e *Engine) Table() *Table { return e.table.Load() }

// Ready returns a channel that is closed once every source was tried and what
// came of it is in the table. It is not closed before Run.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Replace puts other rules into force. Sources that were there before carry
// over what they have loaded. If anything is wrong, nothing changes and the
// error joins all problems. A file that was loaded before and is broken now
// is no such problem: its last good set stays.
func (e *Engine) Replace(rules []Rule) error {
	var problems []error
	seen := make(map[string]bool)
	for _, r := range rules {
		problems = append(problems, Validate(r)...)
		if seen[r.Key()] {
			problems = append(problems, r.problem("", "", "there are two rules of this name; rename one"))
		}
		seen[r.Key()] = true
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	own, sources := adopt(rules)
	if err := e.firstRead(sources); err != nil {
		return err
	}
	e.install(own, sources)
	e.rebuild()
	return nil
}

// adopt copies rules and makes their sources.
func adopt(rules []Rule) ([]*Rule, []*source) {
	own := make([]*Rule, 0, len(rules))
	var sources []*source
	for _, r := range rules {
		r.Zones = slices.Clone(r.Zones)
		for i, z := range r.Zones {
			r.Zones[i] = strings.ToLower(strings.TrimSuffix(z, "."))
		}
		r.Except = slices.Clone(r.Except)
		if r.Action == Deny && r.Text == "" {
			r.Text = "listed by the rule " + r.Name
		}
		if r.Action == Deny && !r.Code.IsValid() {
			r.Code = netip.AddrFrom4([4]byte{127, 0, 0, 2}) // RFC 5782, section 2.1
		}
		own = append(own, &r)
		sources = append(sources, sourcesOf(&r)...)
	}
	return own, sources
}

// firstRead reads the files that no rule in force has loaded yet, of rules that
// do anything. One that is just being written is read later when the engine
// starts, for who starts it may not try again.
func (e *Engine) firstRead(sources []*source) error {
	known := make(map[sourceKey]bool)
	e.mu.Lock()
	starts := e.run == nil
	for _, s := range e.sources {
		known[s.key] = s.content != nil
	}
	e.mu.Unlock()
	var problems []error
	now := time.Now()
	for _, s := range sources {
		if s.file == nil || known[s.key] || !s.active(now) {
			continue
		}
		c, err := s.file.first(now.Add(pollEvery))
		if err != nil && !(starts && errors.Is(err, errBusy)) {
			problems = append(problems, err)
		}
		s.content = c
	}
	return errors.Join(problems...)
}

// install makes the sources those in force, carries over what the old ones
// know, stops the goroutines of those that are gone and starts new ones.
func (e *Engine) install(rules []*Rule, sources []*source) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	old := make(map[sourceKey]*source, len(e.sources))
	moved := make(map[string]*source) // by what is asked
	kept := sync.OnceValue(e.store.byAsked)
	same := make(map[sourceKey]bool, len(sources)) // of what is in force from now on: it asks what it did
	for _, s := range e.sources {
		old[s.key] = s
		if s.isFetched() && s.content != nil {
			moved[s.key.asked()] = s
		}
		if s.stop != nil {
			s.stop()
		}
	}
	for _, s := range sources {
		o := old[s.key]
		same[s.key] = o != nil && sameDemands(s.rule, o.rule)
		if o != nil {
			s.carry(o, now)
		} else if o := moved[s.key.asked()]; o != nil {
			s.carry(o, now)
			s.next, s.failures, s.unkept = now, 0, true
		} else {
			e.recall(s, kept, now)
		}
		if err := guard(s.rule, s.content); err != nil && s.isFetched() {
			e.failed(s, err, false, now)
			s.content = nil
		}
		if s.isStatic() || s.file != nil && s.content != nil {
			s.tried = true
			if s.success.IsZero() {
				s.success = now
			}
		}
		e.equip(s)
	}
	e.live.forget(same)
	e.rules, e.sources = rules, sources
	if e.run != nil && !e.stopped {
		e.startAll()
	}
}

// recall loads what was kept of a source before a restart, be it under another
// rule's name. Only sources that are fetched are kept. What was not confirmed since
// then is in doubt since then, but not for so long that the first failure is the
// last.
func (e *Engine) recall(s *source, kept func() map[string]keptFile, now time.Time) {
	if !s.isFetched() || e.store.dir == "" {
		return
	}
	set, err := e.store.load(s.key)
	if err == nil && set.content == nil {
		s.unkept = true
		set, err = kept()[s.key.asked()].read()
	}
	if err != nil {
		e.log.Warn("kept set not used", s.attr(), slog.Any("error", err))
		return
	}
	if set.content.empty() {
		return
	}
	s.content, s.success, s.kept = set.content, set.at, set.at
	if s.key.kind != KindURL {
		s.doubt = now.Add(-min(max(now.Sub(set.at), 0), giveUp-recallGrace))
	}
	if set.valid["agent"] == e.opts.UserAgent {
		s.valid = set.valid
	}
}

func (e *Engine) sweepState() {
	if e.store.dir == "" {
		return
	}
	e.mu.Lock()
	used := make(map[string]bool, len(e.sources))
	for _, s := range e.sources {
		used[e.store.path(s.key)] = true
	}
	e.mu.Unlock()
	if err := e.store.sweep(used, time.Now()); err != nil {
		e.log.Warn("old kept sets not removed", slog.Any("error", err))
	}
}

// carry takes over from o, the same source of the configuration before, what
// is known of it. What failed is tried at once: it may be what was mended.
func (s *source) carry(o *source, now time.Time) {
	switch {
	case s.isStatic():
		return // it has its content
	case s.file != nil && o.content == nil:
		return // the rule did nothing, and its file was read just now
	}
	s.file, s.known = o.file, o.known
	failed := s.err != nil && s.shrunk == nil // a loss is not seen twice in a moment
	if s.isFetched() && (failed || !sameDemands(s.rule, o.rule)) {
		s.next, s.retries = now, 0
	}
}

// sameDemands reports whether what a source has loaded under one rule is what
// it would load under the other.
func sameDemands(a, b *Rule) bool {
	return a.URL == b.URL && a.MaxV4 == b.MaxV4 && a.MaxV6 == b.MaxV6 && a.Refresh == b.Refresh &&
		a.Insecure == b.Insecure && a.Enabled == b.Enabled && slices.Equal(exceptSPF(a), exceptSPF(b))
}

// rebuild compiles the table from what is loaded and puts it into force.
func (e *Engine) rebuild() {
	e.building.Lock()
	defer e.building.Unlock()
	start := time.Now()
	rules, tried := e.snapshot()
	t := build(rules, start.Unix())
	e.table.Store(t)
	e.took = time.Since(start)
	e.log.Debug("rule table built", slog.Int("intervals", t.Intervals()), slog.Int("bytes", t.Bytes()), slog.Duration("took", e.took))
	if tried {
		e.readyOnce.Do(func() { close(e.ready) })
	}
}

// snapshot returns what is loaded and whether, in a running engine, every
// source was tried.
func (e *Engine) snapshot() (rules []loaded, tried bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tried = e.run != nil
	of := make(map[*Rule]int, len(e.rules))
	for _, r := range e.rules {
		of[r] = len(rules)
		rules = append(rules, loaded{rule: r, except: exceptOf(r)})
	}
	for _, s := range e.sources {
		l := &rules[of[s.rule]]
		l.sources = append(l.sources, loadedSource{s.source, s.content})
		tried = tried && (s.tried || !s.active(time.Now()))
	}
	return rules, tried
}

// active reports whether the source's rule does anything at now.
func (s *source) active(now time.Time) bool { return s.rule.Active(now.Unix()) }

// wantBuild asks for a build soon.
func (e *Engine) wantBuild() {
	select {
	case e.dirty <- struct{}{}:
	default:
	}
}
