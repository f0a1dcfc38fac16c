package overrides

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dnsblproxy/overrides/spf"
)

// Bounds of live evaluation beside those of spf.LiveTimeout and
// spf.LiveQuestions, which all live terms of one address share.
const (
	liveUnsure  = 30 * time.Second // how long "cannot say for now" is remembered
	liveLeast   = 10 * time.Second // how long any result is: its waiters have to find it
	liveMost    = 24 * time.Hour
	maxVerdicts = 1 << 16   // results kept, about 100 B each
	maxPassed   = 1<<20 + 1 // addresses of a family counted per source against its guard: one more than max_v4 permits by default
)

var errGuard = errors.New("live terms have passed as many addresses in 24 hours as max_v4 or max_v6 permits")

// liveKey is a source and an address.
type liveKey struct {
	source sourceKey
	addr   netip.Addr
}

// verdict is what the evaluation of one address came to.
type verdict struct {
	pass    bool
	expires time.Time // when it has to be evaluated anew
	sure    time.Time // when pass was last evaluated without temperror; zero: never
}

// liveState holds what live evaluation remembers. Its mutex is never held
// while DNS is asked.
type liveState struct {
	mu       sync.Mutex
	verdicts map[liveKey]verdict
	passed   map[sourceKey]*passes
	jobs     map[netip.Addr]*liveJob
	answers  answers
}

func newLiveState() *liveState {
	return &liveState{
		verdicts: make(map[liveKey]verdict),
		passed:   make(map[sourceKey]*passes),
		jobs:     make(map[netip.Addr]*liveJob),
		answers:  answers{kept: make(map[asked]keptAnswer)},
	}
}

// liveJob is the evaluation of all live terms of one address. Whoever comes
// while it runs shares its time and its questions.
type liveJob struct {
	ctx    context.Context
	cancel context.CancelFunc
	left   atomic.Int64 // DNS questions
	users  int
	done   map[sourceKey]chan struct{} // closed when that term's verdict is in
}

func keyOf(h Hit) sourceKey {
	return sourceKey{h.Rule.Action, h.Rule.Name, h.Source.Kind, h.Source.Name}
}

// LiveVerdict is what is known of the SPF record behind a live hit and one address.
type LiveVerdict uint8

const (
	LiveUnknown LiveVerdict = iota // to be evaluated
	LiveFails
	LiveUnsure // DNS did not say, which counts as LiveFails for half a minute
	LivePasses
)

// LiveKnown returns what was evaluated and still holds. It asks nobody.
func (e *Engine) LiveKnown(h Hit, a netip.Addr) LiveVerdict {
	k := liveKey{keyOf(h), a.Unmap().WithZone("")}
	e.live.mu.Lock()
	defer e.live.mu.Unlock()
	v, ok := e.live.verdicts[k]
	switch {
	case !ok || !time.Now().Before(v.expires):
		return LiveUnknown
	case v.pass:
		return LivePasses
	case v.sure.IsZero():
		return LiveUnsure
	}
	return LiveFails
}

// LiveStart evaluates the live hits for one address and calls done once, from
// another goroutine, 1.5 s later at most. LiveKnown knows every one of them
// then. All calls for one address at a time share 1.5 s and 50 questions.
func (e *Engine) LiveStart(a netip.Addr, hits []Hit, done func()) {
	a = a.Unmap().WithZone("")
	keys := make([]sourceKey, 0, len(hits))
	for _, h := range hits {
		keys = append(keys, keyOf(h))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		go done() // Run is over; nobody waits for more than this call
		return
	}
	parent := e.run
	if parent == nil {
		parent = context.Background()
	}
	e.wg.Go(func() {
		e.evaluateAll(parent, a, keys)
		done()
	})
}

// evaluateAll returns when the verdicts of all keys are in.
func (e *Engine) evaluateAll(ctx context.Context, a netip.Addr, keys []sourceKey) {
	l := e.live
	l.mu.Lock()
	job := l.join(ctx, a)
	var waits []chan struct{}
	for _, k := range keys {
		c, running := job.done[k]
		if !running {
			c = make(chan struct{})
			job.done[k] = c
			go func() {
				defer close(c)
				e.evaluate(job, k, a)
			}()
		}
		waits = append(waits, c)
	}
	l.mu.Unlock()
	for _, c := range waits {
		<-c
	}
	l.leave(a, job)
}

// join returns the job of the address. The caller holds mu.
func (l *liveState) join(ctx context.Context, a netip.Addr) *liveJob {
	job := l.jobs[a]
	if job == nil {
		job = &liveJob{done: make(map[sourceKey]chan struct{})}
		job.left.Store(spf.LiveQuestions)
		job.ctx, job.cancel = context.WithTimeout(ctx, spf.LiveTimeout)
		l.jobs[a] = job
	}
	job.users++
	return job
}

func (l *liveState) leave(a netip.Addr, job *liveJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if job.users--; job.users == 0 {
		job.cancel()
		delete(l.jobs, a)
	}
}

// evaluate asks check_host() for one source and keeps the verdict.
func (e *Engine) evaluate(job *liveJob, k sourceKey, a netip.Addr) {
	e.mu.Lock()
	s := e.current(k)
	e.mu.Unlock()
	now := time.Now()
	if s == nil {
		e.live.keep(liveKey{k, a}, verdict{expires: now.Add(liveUnsure)}, now)
		return
	}
	r := withoutIncludes(keeper{answers: &e.live.answers, next: e.opts.Resolver, left: &job.left}, exceptSPF(s.rule))
	out := spf.CheckHost(job.ctx, r, spf.Query{Addr: a, Domain: k.spec})
	now = time.Now()
	if out.Result == spf.TempError {
		e.live.unsure(liveKey{k, a}, now)
		return
	}
	v := verdict{pass: out.Result == spf.Pass, sure: now, expires: now.Add(min(max(out.TTL, liveLeast), liveMost))}
	if v.pass {
		if err := e.countPass(s, a, now); err != nil {
			v.pass = false
		}
	}
	e.mu.Lock()
	if after := e.current(k); after == nil || !sameDemands(after.rule, s.rule) {
		v.sure, v.expires = time.Time{}, now.Add(liveLeast) // of a rule that is another one now
	}
	e.mu.Unlock()
	e.live.keep(liveKey{k, a}, v, now)
}

// unsure keeps the last verdict without temperror if it is less than a day
// old, else "no", for half a minute.
func (l *liveState) unsure(k liveKey, now time.Time) {
	l.mu.Lock()
	v := l.verdicts[k]
	l.mu.Unlock()
	if v.sure.IsZero() || now.Sub(v.sure) >= giveUp {
		v = verdict{}
	}
	v.expires = now.Add(liveUnsure)
	l.keep(k, v, now)
}

func (l *liveState) keep(k liveKey, v verdict, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	makeRoom(l.verdicts, maxVerdicts, func(v verdict) bool { return now.After(v.expires) && now.Sub(v.sure) >= giveUp })
	l.verdicts[k] = v
}

// forget drops the verdicts of sources that are not the same as before, and what
// was counted for those that are not there at all.
func (l *liveState) forget(same map[sourceKey]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.verdicts, func(k liveKey, _ verdict) bool { return !same[k.source] })
	maps.DeleteFunc(l.passed, func(k sourceKey, _ *passes) bool { _, there := same[k]; return !there })
}

// countPass counts an address that passed a live term, together with the
// source's fixed addresses, against the rule's guard.
func (e *Engine) countPass(s *source, a netip.Addr, now time.Time) error {
	e.mu.Lock()
	var fixed4, fixed6 count
	if s.content != nil {
		fixed4, fixed6 = s.content.counts()
	}
	e.mu.Unlock()
	bits4, bits6 := s.rule.limits()

	l := e.live
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.passed[s.key]
	if p == nil {
		p = &passes{v4: make(map[netip.Addr]time.Time), v6: make(map[netip.Addr]time.Time)}
		l.passed[s.key] = p
	}
	fits := func() bool {
		return !fixed4.add(count{0, uint64(len(p.v4))}).above(bits4) && !fixed6.add(count{0, uint64(len(p.v6))}).above(bits6)
	}
	p.add(a, now)
	if fits() {
		p.refused = false
		return nil
	}
	if now.Sub(p.pruned) >= time.Minute { // a million of them take a while
		p.prune(now)
	}
	if fits() {
		return nil
	}
	delete(p.of(a), a)
	if !p.refused {
		e.log.Warn("rule source refused", s.attr(), slog.Any("error", errGuard))
	}
	p.refused = true
	return errGuard
}

// passes are the addresses that passed the live terms of one source in the
// last 24 hours, perhaps some older ones until the next prune.
type passes struct {
	v4, v6  map[netip.Addr]time.Time // when last
	pruned  time.Time
	refused bool // logged that the guard is reached
}

// of returns those of a's family.
func (p *passes) of(a netip.Addr) map[netip.Addr]time.Time {
	if a.Is4() {
		return p.v4
	}
	return p.v6
}

func (p *passes) add(a netip.Addr, now time.Time) {
	if now.Sub(p.pruned) >= time.Hour {
		p.prune(now)
	}
	at := p.of(a)
	if _, counted := at[a]; counted || len(at) < maxPassed { // bounds memory; what is counted so far goes on counting
		at[a] = now
	}
}

func (p *passes) prune(now time.Time) {
	p.pruned = now
	over := func(_ netip.Addr, at time.Time) bool { return now.Sub(at) >= giveUp }
	maps.DeleteFunc(p.v4, over)
	maps.DeleteFunc(p.v6, over)
}
