package upstream

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Asker is an Exchanger or a Direct.
type Asker interface {
	Exchange(ctx context.Context, q Question) Outcome

	// begin asks q and returns at once. slow, if not nil, is called for each
	// attempt without an answer, and done exactly once, from a goroutine of the
	// pool: it should not block, for other answers wait behind it. q is not used
	// after begin has returned.
	begin(q Question, slow func(), done func(Outcome)) ticket

	// aside has test run in a goroutine of the pool.
	aside(test func(ask probe))

	// judged returns an Asker that takes an answer for a server's refusal, and
	// asks the next one, when refusal says why.
	judged(refusal func(q Question, records [][]byte) error) Asker
}

// Condition is what may be believed of a list.
type Condition uint8

const (
	Healthy     Condition = iota
	Suspect               // it answers, but not as a list should
	Quarantined           // it lists the world: nothing it says is believed
	Unreachable           // it does not answer
)

// String returns the word of the metric's label.
func (c Condition) String() string {
	return [...]string{"healthy", "suspect", "quarantined", "unreachable"}[c]
}

// State is a list's condition.
type State struct {
	Condition Condition
	Reason    string    // in words; empty when healthy
	Since     time.Time // when the condition, not only its reason, changed
	Liar      rbl.Shape // in quarantine: the shape whose tests show it
}

// CodeError is an answer that says that the list does not serve us.
type CodeError struct {
	Code rbl.Code
	Name string // as Classify says
	Help string // what to do about it; may be empty
}

func isCode(err error) bool { return errors.As(err, new(*CodeError)) }

func (e *CodeError) Error() string {
	text := fmt.Sprintf("list answered %v: %s", e.Code, e.Name)
	if e.Help != "" {
		text += " (" + e.Help + ")"
	}
	return text
}

// ListOptions describe one list. Zone, Ask and Holds are required.
type ListOptions struct {
	Zone  wire.Name // that the list is asked under
	Ask   Asker
	Holds rbl.Holds // what it knows; each shape has its own circuit breaker

	// Listed and Classify say what a code means: a listing, or an error with
	// its name and what to do about it. Nil: as package rbl says of lists that
	// it does not know.
	Listed   func(rbl.Code) bool
	Classify func(rbl.Code) (name, help string, isError bool)

	// Probe has Run test the list as RFC 5782, section 5 says, at start and
	// about every Every (default 5 min).
	Probe bool
	Every time.Duration

	// Judge says which tests are held against the list.
	Judge rbl.Probe

	// Quarantined, unless empty, is why that list is in quarantine whose place
	// this one takes, and Liar its State's: it begins there, and needs Probe to
	// come out of it.
	Quarantined string
	Liar        rbl.Shape

	// Budget is the number of questions a (UTC) day; 0 is no bound. Load
	// gives back what Save was given before a restart; both may be nil. Save
	// is called by Run, at most every 10 s and at its end; what it fails to
	// keep it is given again.
	Budget uint64
	Load   func() Spent
	Save   func(Spent) error

	// The hooks are called one at a time and must not call the list back,
	// State aside. Any may be nil.
	OnState  func(from, to State)
	OnFault  func(error)     // a test question of ours has failed
	OnVoid   func()          // quarantined: the answers cached from this list are void
	OnClose  func(rbl.Shape) // the breaker has closed: remembered failures are void
	OnBudget func(Budget)    // four fifths of the budget are spent, or all; each once a day
}

// List guards the questions to one DNSBL. Its methods are safe for concurrent
// use; State and Open take no lock.
type List struct {
	opts     ListOptions
	breakers []*breaker // of the shapes that it holds; the first one also for what it does not
	budget   *budget    // nil without a bound
	share    share
	wake     chan struct{} // tests are wanted soon
	burst    chan struct{} // tests are wanted at once; at most once in shareWindow answers
	state    atomic.Pointer[State]
	examined chan struct{} // closed after the first tests

	mu        sync.Mutex // also around the hooks
	closed    bool
	suspicion string // why it is suspect, from the tests
}

// NewList returns a list, healthy unless it begins in quarantine.
func NewList(opts ListOptions) *List {
	if opts.Every <= 0 {
		opts.Every = 5 * time.Minute
	}
	if opts.Classify == nil {
		opts.Classify = func(c rbl.Code) (name, help string, isError bool) { return rbl.ErrorName(nil, c) }
	}
	if opts.Listed == nil {
		opts.Listed = rbl.DefaultListed().Contains
	}
	l := &List{opts: opts, wake: make(chan struct{}, 1), burst: make(chan struct{}, 1)}
	l.opts.Ask = opts.Ask.judged(l.refusal)
	l.examined = make(chan struct{})
	if !opts.Probe {
		close(l.examined)
	}
	for shape := rbl.IP4; shape <= rbl.Domain; shape++ {
		if opts.Holds.Has(shape) {
			l.breakers = append(l.breakers, newBreaker(l, shape))
		}
	}
	l.breaker(opts.Liar).lie = opts.Quarantined
	if opts.Budget > 0 {
		l.budget = newBudget(opts.Budget, opts.Load)
	}
	first := l.assess()
	first.Since = time.Now()
	l.state.Store(&first)
	return l
}

// State returns the list's condition.
func (l *List) State() State { return *l.state.Load() }

// Quarantined says why nothing that the list says is believed, if so.
func (l *List) Quarantined() (why string, yes bool) {
	s := l.state.Load()
	return s.Reason, s.Condition == Quarantined
}

// Examined is closed once the first tests have ended, whatever came of them:
// until then nobody knows whether the list lies. Without Probe it is closed.
func (l *List) Examined() <-chan struct{} { return l.examined }

// Open says why the breaker of a shape is open, if it is: Start would fail. vain
// says that to ask again cannot help, because the list answers an error code.
func (l *List) Open(shape rbl.Shape) (why string, vain, open bool) {
	b := l.breaker(shape)
	if !b.open.Load() {
		return "", false, false
	}
	return cmp.Or(l.State().Reason, "the list does not answer"), b.coded.Load(), true
}

func (l *List) breaker(shape rbl.Shape) *breaker {
	for _, b := range l.breakers {
		if b.shape == shape {
			return b
		}
	}
	return l.breakers[0]
}

// Ask is one question for a list.
type Ask struct {
	Question
	Shape rbl.Shape

	// Subject is the address that is asked about; invalid for domains. Its
	// /24 or /64 may spend a tenth of the budget.
	Subject netip.Addr

	// Background marks a question that nobody waits for: it is not asked
	// once four fifths of the budget are spent.
	Background bool
}

// Start asks the list and returns at once; done is called once, from another
// goroutine, and should not block. Beside the errors of whom it asks there are
// ErrBreaker, ErrBudget and, for A questions, a *CodeError. When the breaker
// opens while the question is out it ends with ErrBreaker at once.
func (l *List) Start(a Ask, done func(Outcome)) {
	b := l.breaker(a.Shape)
	if b.open.Load() {
		go done(Outcome{Err: ErrBreaker})
		return
	}
	if l.budget != nil && !l.spend(a) {
		go done(Outcome{Err: ErrBudget})
		return
	}
	w, turn := b.enter(a.Type, a.Shape, done)
	if out := l.opts.Ask.begin(a.Question, b.failed, w.finish); b.begun(w, turn, out) {
		out.cancel(ErrBreaker)
	}
}

// waiter is one user's question that is out. Waiters are reused; turn keeps
// what comes late from touching the next one.
type waiter struct {
	breaker *breaker
	finish  func(Outcome) // landed; making a method value allocates
	qtype   uint16
	shape   rbl.Shape
	done    func(Outcome)

	// Guarded by the breaker's lock.
	prev, next *waiter
	turn       uint32
	out        ticket // of no question until begun
}

func (w *waiter) landed(o Outcome) {
	b, done := w.breaker, w.done
	coded := o.Err == nil && w.qtype == wire.TypeA && !(w.shape == rbl.Apex && hosts(o.Response.Records))
	listed := false
	if coded {
		listed, o.Err = b.list.judge(o.Response.Records)
	}
	b.leave(w, o.Err)
	if coded && o.Err == nil && b.list.opts.Probe && b.list.share.add(listed) {
		notify(b.list.burst)
	}
	done(o)
}

// hosts reports whether an answer holds addresses, and no codes: those of the
// list's web site, at the zone's own name.
func hosts(records [][]byte) bool {
	return !slices.ContainsFunc(records, func(r []byte) bool { return codeIn(r).Loopback() })
}

func codeIn(record []byte) rbl.Code { return rbl.Code(binary.BigEndian.Uint32(record)) }

// refusal is the error code of an answer, which may be meant for the one resolver
// that was asked.
func (l *List) refusal(q Question, records [][]byte) error {
	if q.Type != wire.TypeA || hosts(records) && string(q.Name) == string(l.opts.Zone) {
		return nil
	}
	_, err := l.judge(records)
	return err
}

// judge reads the codes of an answer. Of several errors it names the least: they
// come in another order each time.
func (l *List) judge(records [][]byte) (listed bool, err error) {
	var trouble *CodeError
	for _, r := range records {
		code := codeIn(r)
		if name, help, isError := l.opts.Classify(code); !isError {
			listed = listed || l.opts.Listed(code)
		} else if trouble == nil || code < trouble.Code {
			trouble = &CodeError{code, name, help}
		}
	}
	if trouble == nil {
		return listed, nil
	}
	return false, trouble
}

// update publishes the state that follows from breakers and tests. mu is held.
func (l *List) update() {
	next := l.assess()
	old := l.State()
	if next.Condition == old.Condition && next.Reason == old.Reason {
		return
	}
	next.Since = old.Since
	if next.Condition != old.Condition {
		next.Since = time.Now()
	}
	l.state.Store(&next)
	if l.opts.OnState != nil {
		l.opts.OnState(old, next)
	}
	if next.Condition == Quarantined && old.Condition != Quarantined && l.opts.OnVoid != nil {
		l.opts.OnVoid()
	}
}

func (l *List) assess() State {
	open, reason := 0, ""
	for _, b := range l.breakers {
		if b.lie != "" {
			return State{Condition: Quarantined, Reason: b.lie, Liar: b.shape}
		}
		if why := b.reason; b.open.Load() {
			open++
			if reason == "" {
				reason = "the test question for " + b.shape.String() + " fails: " + why
			}
		}
	}
	switch {
	case open == len(l.breakers):
		return State{Condition: Unreachable, Reason: reason}
	case open > 0 && l.State().Condition == Healthy && slices.ContainsFunc(l.breakers, (*breaker).tested):
		return l.State() // suspect or unreachable is known in a moment, and told once
	case open > 0:
		return State{Condition: Suspect, Reason: reason}
	case l.suspicion != "":
		return State{Condition: Suspect, Reason: l.suspicion}
	}
	return State{}
}
