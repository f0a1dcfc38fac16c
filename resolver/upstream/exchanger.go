package upstream

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// Question is one question of class IN: a name in wire form, lower case, and
// a type.
type Question = wire.Question

// Outcome is what came of a question.
type Outcome struct {
	// Response is the answer. With ErrServfail and ErrRefused it may hold the
	// last server's response code.
	Response wire.Response

	// Err is nil when the answer is NOERROR or NXDOMAIN.
	Err error

	// Server is who gave the answer, or was asked last.
	Server netip.AddrPort

	// Took is the time from the start to the end, repetitions included.
	Took time.Duration

	delegation *wire.Delegation // of a server asked directly
}

// ExchangeOptions say how a group of servers is asked.
type ExchangeOptions struct {
	Timeout    time.Duration // of one attempt; default 1 s
	Deadline   time.Duration // of all attempts; default 4 s
	CaseRandom bool          // randomize the case of names (0x20) where the server keeps it
}

// Exchanger asks one group of servers. It is safe for concurrent use.
type Exchanger struct {
	pool    *Pool
	servers []*server
	opts    ExchangeOptions
	zone    wire.Name // over which the servers have authority; nil for resolvers

	// refusal says why an answer refuses the question, if it does; may be nil.
	// The servers whose answers did are asked last.
	refusal func(q Question, records [][]byte) error
	refused []spell // by place in servers
}

// Exchanger returns an exchanger for the servers. Without any, every question
// fails with ErrUnreachable.
func (p *Pool) Exchanger(servers []netip.AddrPort, opts ExchangeOptions) *Exchanger {
	if opts.Timeout <= 0 {
		opts.Timeout = time.Second
	}
	if opts.Deadline <= 0 {
		opts.Deadline = 4 * time.Second
	}
	e := &Exchanger{pool: p, opts: opts}
	seen := make(map[*server]bool)
	for _, addr := range servers {
		if s := p.server(addr); !seen[s] {
			seen[s] = true
			e.servers = append(e.servers, s)
		}
	}
	return e
}

func (e *Exchanger) judged(refusal func(Question, [][]byte) error) Asker {
	if len(e.servers) < 2 {
		return e // nobody else can be asked
	}
	with := *e
	with.refusal, with.refused = refusal, make([]spell, len(e.servers))
	return &with
}

// refuses says why an answer of s refuses the question, if it does.
func (e *Exchanger) refuses(s *server, q Question, records [][]byte, now time.Time) error {
	err := e.refusal(q, records)
	if err != nil {
		e.refused[slices.Index(e.servers, s)].begin(now)
	}
	return err
}

// ticket stands for a question that was handed over; that of none does nothing.
type ticket struct {
	held interface{ stop(gen uint32, err error) } // a flight or a call
	gen  uint32                                   // of a flight
}

// cancel makes done be called with err, unless it was or is being called; it does
// not call it itself.
func (t ticket) cancel(err error) {
	if t.held != nil {
		t.held.stop(t.gen, err)
	}
}

// terms are what differs between the questions of users and our own.
type terms struct {
	deadline time.Duration
	only     *server // the one server to ask; nil for the group
	slow     func()  // called for each try without an answer
}

func (e *Exchanger) begin(q Question, slow func(), done func(Outcome)) ticket {
	return e.start(q, terms{deadline: e.opts.Deadline, slow: slow}, done)
}

func (e *Exchanger) start(q Question, t terms, done func(Outcome)) ticket {
	if !q.Name.Valid() {
		go done(Outcome{Err: ErrQuestion})
		return ticket{}
	}
	f := e.pool.getFlight()
	if f == nil {
		go done(Outcome{Err: ErrClosed})
		return ticket{}
	}
	// Before the first try: one that fails at once gives f back, which this may
	// get, and q, which is the caller's again when done is called.
	if t.only == nil {
		e.askOthers(q, f.started)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.slow = done, t.slow
	f.query, f.qend = appendQuery(f.query[:0], q, e.zone == nil)
	out := ticket{f, f.gen}
	e.launch(f, t)
	return out
}

// launch makes the first try. The lock of f is held.
func (e *Exchanger) launch(f *flight, t terms) {
	f.active, f.by = true, e
	f.deadline = f.started.Add(t.deadline)
	if t.only != nil {
		f.order[0], f.n = t.only, 1
	} else {
		f.n = e.rank(&f.order, f.started)
	}
	if f.n == 0 {
		f.end(f.started, ErrUnreachable)
		go f.land()
	} else if f.try(f.started) == landed {
		go f.land()
	}
}

// Exchange asks q. The cause of the end of a ctx that ends first is the Outcome's
// error.
func (e *Exchanger) Exchange(ctx context.Context, q Question) Outcome { return await(ctx, e, q) }

func await(ctx context.Context, a Asker, q Question) Outcome {
	if ctx.Err() != nil {
		return Outcome{Err: context.Cause(ctx)}
	}
	ch := make(chan Outcome, 1)
	out := a.begin(q, nil, func(o Outcome) { ch <- o })
	select {
	case o := <-ch:
		return o
	case <-ctx.Done():
		out.cancel(ErrCanceled)
		o := <-ch
		if o.Err != nil {
			o.Err = context.Cause(ctx)
		}
		return o
	}
}

// Relay passes a whole query on, over UDP or TCP, and its answer back: the ID
// is replaced on the way and put back, everything else stays. An answer that
// was cut (TC) is passed back so; one over UDP that is longer than
// wire.MaxDatagram is not whole. With SERVFAIL and REFUSED the next server is
// asked, and the last such answer passed back. done is called once, from a
// goroutine of the pool; the packet it gets is the callee's.
func (e *Exchanger) Relay(packet []byte, tcp bool, done func([]byte, error)) {
	qend := questionEnd(packet)
	if qend == 0 {
		go done(nil, ErrQuestion)
		return
	}
	f := e.pool.getFlight()
	if f == nil {
		go done(nil, ErrClosed)
		return
	}
	e.askOthers(anyQuestion, f.started)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pass = done
	f.query, f.qend = append(f.query[:0], packet...), qend
	copy(f.relay[:], packet)
	f.tcp, f.overTCP = tcp, tcp
	e.launch(f, terms{deadline: e.opts.Deadline})
}

// exploreOne in so many questions goes to another server than the best one,
// so that a server that has become faster is found out.
const exploreOne = 32

// unknownRTT stands for that of a server that was never asked.
const unknownRTT = 400 * time.Millisecond

// rank fills order with the servers, the best first: those that answer before
// those that do not or refuse to, then by smoothed RTT.
func (e *Exchanger) rank(order *[maxServers]*server, now time.Time) int {
	n := len(e.servers)
	if n == 1 {
		order[0] = e.servers[0]
		return 1
	}
	var keys [maxServers]int64
	kept := 0
	for at, s := range e.servers {
		key := s.key()
		if e.refused != nil && e.refused[at].lasts(now) {
			key += lastResort
		}
		i := min(kept, maxServers-1)
		if kept == maxServers && keys[i] <= key {
			continue
		}
		for ; i > 0 && keys[i-1] > key; i-- {
			keys[i], order[i] = keys[i-1], order[i-1]
		}
		keys[i], order[i] = key, s
		kept = min(kept+1, maxServers)
	}
	if bits := e.pool.rnd.uint64(); kept > 1 && bits%exploreOne == 0 {
		i := 1 + int(bits>>32%uint64(kept-1))
		if order[i].known() && keys[i] < lastResort {
			order[0], order[i] = order[i], order[0]
		}
	}
	return kept
}

// anyQuestion is one that every resolver can answer, the root's name servers.
var anyQuestion = Question{Name: wire.Name{0}, Type: wire.TypeNS}

// askOthers asks q, which may be a user's, of a server that was never asked, or
// did not answer lately, so that it is got to know without anybody waiting for it.
func (e *Exchanger) askOthers(q Question, now time.Time) {
	if len(e.servers) < 2 {
		return
	}
	for _, s := range e.servers {
		if !s.known() && s.retryDue(now) {
			e.start(q, terms{deadline: e.opts.Timeout, only: s}, func(Outcome) {})
			return
		}
	}
}
