package upstream

import (
	"sync"
	"time"
)

const (
	maxServers    = 16 // of one group that a question is sent to
	maxMismatches = 3  // answers that do not fit, after which a question is repeated over TCP

	keptQuery = 512 // octets that a flight keeps; relayed questions may be of any length
)

// flight is one question on its way: sent to one server at a time, until one
// gives a usable answer or the deadline passes. Flights are reused; gen, and
// the pair of table and ID, keep what comes late from touching the next one.
type flight struct {
	mu   sync.Mutex
	pool *Pool

	// timer runs expire at rings. It goes on when a question lands, and rings
	// before the next one's time is up as a rule: it is set anew then, once
	// per timeout instead of twice per question.
	timer *time.Timer
	rings time.Time // zero when it has rung

	gen    uint32
	active bool // from the first try to the end
	done   func(Outcome)
	pass   func([]byte, error) // of a relayed packet, instead of done
	slow   func()              // called for each try without an answer; may be nil
	by     *Exchanger          // that asks

	started  time.Time
	deadline time.Time // of all tries

	query   []byte // as last sent; own questions end with an OPT
	qend    int    // where the question in it ends
	relay   [2]byte
	overTCP bool // of a relay: TCP from the start

	order  [maxServers]*server
	bad    [maxServers]bool // not asked again: said no, cannot be reached or is dead
	n, at  int
	server *server // order[at]

	// The try that is out.
	table      *table
	id         uint16  // changed under the table's lock, too
	chain      *flight // the next one of the table; under its lock
	stream     *stream // nil over UDP
	answers    int64   // that the stream had given when the question was sent
	sent       time.Time
	until      time.Time
	edns       bool
	noEDNS     bool // the server did not take EDNS
	plain      bool // case is left alone in spite of mixed, after a change of it
	reopened   bool // the connection broke once already
	tcp        bool // the next try with this server goes over TCP
	mismatches int

	out  Outcome // what is known so far, then the end
	kept []byte  // of a relay: an answer to pass on when nobody has a better one
}

// getFlight returns a flight that Close waits for, nil when the pool is
// closed.
func (p *Pool) getFlight() *flight {
	if !p.gate.enter() {
		return nil
	}
	f := p.free.Get()
	if f == nil {
		f = p.newFlight()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.n, f.overTCP = 0, 0, false
	f.fresh() // by overTCP
	f.bad = [maxServers]bool{}
	f.started = time.Now()
	return f
}

func (p *Pool) newFlight() *flight {
	f := &flight{pool: p}
	f.timer = time.AfterFunc(time.Hour, f.expire)
	f.timer.Stop()
	return f
}

// land gives the result to whoever asked. The flight has ended and its lock
// is not held.
func (f *flight) land() {
	done, pass, out, kept := f.done, f.pass, f.out, f.kept
	p := f.pool
	f.out, f.kept, f.done, f.pass, f.slow, f.by = Outcome{}, nil, nil, nil, nil, nil
	f.server = nil
	clear(f.order[:f.n]) // its timer may keep it for longer than anybody needs them
	if cap(f.query) > keptQuery {
		f.query = nil
	}
	p.free.Put(f)
	switch {
	case pass == nil:
		done(out)
	case kept != nil:
		pass(kept, nil)
	default:
		pass(nil, out.Err)
	}
	p.gate.leave()
}

// end takes the flight out of the air; the lock is held and land follows.
func (f *flight) end(now time.Time, err error) {
	f.ground()
	f.active = false
	f.gen++
	f.out.Err = err
	f.out.Took = now.Sub(f.started)
	if f.server != nil {
		f.out.Server = f.server.addr
	}
}

// ground gives the try's ID back.
func (f *flight) ground() {
	if f.table != nil {
		f.table.drop(f)
		f.table, f.stream = nil, nil
	}
}

// stop ends the flight of that generation with err. It lands in a goroutine
// of its own: the caller may hold locks that done takes.
func (f *flight) stop(gen uint32, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.active && f.gen == gen {
		f.end(time.Now(), err)
		go f.land()
	}
}

// expire is the timer's function.
func (f *flight) expire() {
	now := time.Now()
	f.mu.Lock()
	f.rings = time.Time{}
	if !f.active || now.Before(f.until) {
		if f.active {
			f.alarm(now) // it was set for a question before this one
		}
		f.mu.Unlock()
		return
	}
	slow := f.slow
	f.server.silent(f.by.opts.Timeout)
	f.out.Err = worse(f.out.Err, ErrTimeout)
	f.bad[f.at] = f.out.Err != ErrTimeout && f.server.dead() // another has said no: that is told soon
	if f.stream != nil && f.stream.answers.Load() == f.answers {
		f.stream.giveUp()
	}
	v := f.next(now)
	f.mu.Unlock()
	if slow != nil {
		slow()
	}
	if v == landed {
		f.land()
	}
}

// alarm has expire run at until.
func (f *flight) alarm(now time.Time) {
	if f.rings.IsZero() || f.rings.After(f.until) {
		f.rings = f.until
		f.timer.Reset(f.until.Sub(now))
	}
}

// worse keeps the error that says more: a refusal says more than silence, and a
// code than that.
func worse(old, err error) error {
	if isCode(old) || (old == ErrRefused || old == ErrServfail) && !isCode(err) {
		return old
	}
	return err
}

// verdict says what becomes of a flight of which something is heard.
type verdict uint8

const (
	dropped verdict = iota // that was no answer to the question: waiting goes on
	landed                 // the flight has ended
	flying                 // the question was sent again
)

// upon does what becomes of the try that waits on that table under that ID, if one
// still does.
func (f *flight) upon(t *table, id uint16, act func(now time.Time) verdict) {
	f.mu.Lock()
	if !f.waitsOn(t, id) {
		f.mu.Unlock()
		return
	}
	v := act(time.Now())
	f.mu.Unlock()
	if v == landed {
		f.land()
	}
}

// abort ends the flight.
func (f *flight) abort(t *table, id uint16, err error) {
	f.upon(t, id, func(now time.Time) verdict {
		f.end(now, err)
		return landed
	})
}

// lost moves on to the next server: the socket or connection broke.
func (f *flight) lost(t *table, id uint16) {
	f.upon(t, id, func(now time.Time) verdict {
		f.server.silent(f.by.opts.Timeout)
		return f.reject(now, ErrUnreachable)
	})
}

// reconnect asks again over a new connection, once.
func (f *flight) reconnect(t *table, id uint16) {
	f.upon(t, id, func(now time.Time) verdict {
		if f.reopened {
			return f.reject(now, ErrUnreachable)
		}
		f.reopened, f.tcp = true, true
		return f.try(now)
	})
}

func (f *flight) waitsOn(t *table, id uint16) bool {
	return f.active && f.table == t && f.id == id
}

// reject marks the server as of no use to this question and asks the next.
func (f *flight) reject(now time.Time, err error) verdict {
	f.bad[f.at] = true
	f.out.Err = worse(f.out.Err, err)
	return f.next(now)
}

// fresh forgets what was found out about the last server.
func (f *flight) fresh() {
	f.edns, f.noEDNS, f.plain, f.reopened = true, false, false, false
	f.tcp, f.mismatches = f.overTCP, 0
}

// next asks the next server that is not marked. Without one, or time, the flight
// has landed.
func (f *flight) next(now time.Time) verdict {
	f.ground()
	for i := 1; i <= f.n; i++ {
		at := (f.at + i) % f.n
		if f.bad[at] {
			continue
		}
		f.at = at
		f.fresh()
		return f.try(now)
	}
	f.end(now, f.out.Err)
	return landed
}

// try sends the question to the server at f.at.
func (f *flight) try(now time.Time) verdict {
	f.ground()
	if !now.Before(f.deadline) {
		if f.out.Err == nil {
			f.out.Err = ErrTimeout
		}
		f.end(now, f.out.Err)
		return landed
	}
	s := f.order[f.at]
	f.server = s
	f.until = now.Add(f.by.opts.Timeout)
	if f.until.After(f.deadline) {
		f.until = f.deadline
	}
	f.sent = now
	f.alarm(now)
	var err error
	if f.tcp {
		err = f.tryTCP(s, now)
	} else {
		err = f.tryUDP(s, now)
	}
	if err == nil {
		return flying
	}
	if err == ErrClosed {
		f.end(now, ErrClosed)
		return landed
	}
	s.silent(f.by.opts.Timeout)
	return f.reject(now, ErrUnreachable)
}
