package upstream

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	deadAfter   = 2         // tries in a row without an answer that make a server dead
	remember    = time.Hour // how long a server is thought to lack EDNS, to change case or the like
	firstRetry  = 2 * time.Second
	lastRetry   = time.Minute
	maxStreams  = 256 // TCP connections at a time, where each question needs its own
	caseChanges = 2   // answers in changed case before it is remembered: one may be forged

	// socketRun is how many questions in a row leave by a socket that others are out
	// on, on average: answers that come together cost less when they are read together.
	socketRun = 8
)

// server is what is known of one address, shared by all who ask it.
type server struct {
	pool *Pool
	addr netip.AddrPort

	// rtt is smoothed as in RFC 6298, section 2, in ns; 0 before the first
	// answer. Tries without an answer double it.
	rtt   atomic.Int64
	fails atomic.Int32 // tries in a row without an answer

	retryAt  atomic.Int64 // when a dead server is asked again in the background; Unix ns
	retryGap atomic.Int64 // ns until then

	plainDNS    spell        // no EDNS is sent
	plainCase   spell        // the case of names is left alone
	changedCase atomic.Int32 // answers in a row in changed case
	single      spell        // a TCP connection is for one question

	mu      sync.Mutex
	sockets []*socket            // by slot, nil when not open
	at      int                  // slot of the last question
	open    map[*socket]struct{} // these and the retired ones still waited on
	tcp     *stream              // nil when not connected
	streams map[*stream]struct{}
	closed  bool
}

func newServer(p *Pool, addr netip.AddrPort) *server {
	return &server{
		pool: p, addr: addr,
		sockets: make([]*socket, p.sockets),
		open:    make(map[*socket]struct{}),
		streams: make(map[*stream]struct{}),
	}
}

// alive notes that an answer came, of whatever kind.
func (s *server) alive() {
	s.fails.Store(0)
	s.retryGap.Store(0)
}

// answered notes an answer over UDP that took rtt.
func (s *server) answered(rtt time.Duration) {
	s.alive()
	old := s.rtt.Load()
	if old == 0 {
		s.rtt.Store(max(1, int64(rtt)))
		return
	}
	s.rtt.Store(max(1, old-old/8+int64(rtt)/8))
}

// silent notes a try that got no answer, or that of a server that refuses us
// altogether, within timeout.
func (s *server) silent(timeout time.Duration) {
	s.fails.Add(1)
	s.rtt.Store(min(max(2*s.rtt.Load(), int64(timeout)/2), int64(4*timeout)))
}

// lame notes that the server answers, but is of no use: it is asked last.
func (s *server) lame(timeout time.Duration) {
	s.rtt.Store(max(s.rtt.Load(), int64(timeout)))
}

func (s *server) dead() bool { return s.fails.Load() >= deadAfter }

// known reports whether the server has answered, the last time as well.
func (s *server) known() bool { return s.fails.Load() == 0 && s.rtt.Load() > 0 }

// lastResort is added to the key of a server that is asked when no other answers.
const lastResort = int64(time.Hour)

// key orders servers: the smaller the better.
func (s *server) key() int64 {
	key := s.rtt.Load()
	if key == 0 {
		key = int64(unknownRTT)
	}
	if s.dead() {
		key += lastResort
	}
	return key
}

// retryDue reports once per pause that a dead server may be asked again. The
// pauses grow from 2 s to a minute.
func (s *server) retryDue(now time.Time) bool {
	at := s.retryAt.Load()
	if ahead(now, at, lastRetry) {
		return false
	}
	gap := min(max(2*s.retryGap.Load(), int64(firstRetry)), int64(lastRetry))
	if !s.retryAt.CompareAndSwap(at, now.UnixNano()+gap) {
		return false
	}
	s.retryGap.Store(gap)
	return true
}

// ahead reports whether a moment (Unix ns) lies ahead of now, by no more than it
// can: the clock may have been set back since it was noted. By less than a second
// it was not: another goroutine may have noted it since now was read.
func ahead(now time.Time, at int64, most time.Duration) bool {
	left := at - now.UnixNano()
	return left > 0 && left <= int64(most+time.Second)
}

// keepsCase notes whether the server gave a name back as it was sent.
func (s *server) keepsCase(yes bool, now time.Time) {
	if yes {
		s.changedCase.Store(0)
	} else if s.changedCase.Add(1) >= caseChanges {
		s.plainCase.begin(now)
	}
}

// spell is a time for which something is thought of a server.
type spell struct{ end atomic.Int64 } // Unix ns

func (s *spell) begin(now time.Time)      { s.end.Store(now.Add(remember).UnixNano()) }
func (s *spell) lasts(now time.Time) bool { return ahead(now, s.end.Load(), remember) }

// socket returns the socket of the slot that random bits choose, or that of the
// last question while that is out, opening or renewing it.
func (s *server) socket(bits uint32, now time.Time) (*socket, error) {
	k, old, err := s.slot(bits, now)
	if old != nil {
		old.retire()
	}
	return k, err
}

// slot returns the socket, and the one whose place it took.
func (s *server) slot(bits uint32, now time.Time) (k, old *socket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	if k = s.sockets[s.at]; k == nil || bits%socketRun == 0 || k.empty() {
		s.at = int(uint64(bits) * uint64(len(s.sockets)) >> 32)
	}
	place := &s.sockets[s.at]
	if k = *place; k != nil {
		k.uses++
		if k.uses <= s.pool.socketUses && now.Before(k.until) {
			return k, nil, nil
		}
		old, *place = k, nil
	}
	if k, err = openSocket(s, now); err != nil {
		return nil, old, err
	}
	*place = k
	s.open[k] = struct{}{}
	return k, old, nil
}

// leaveSocket makes the next question of k's slot open a new socket; gone says
// that k is closed, too.
func (s *server) leaveSocket(k *socket, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gone {
		delete(s.open, k)
	}
	for i := range s.sockets {
		if s.sockets[i] == k {
			s.sockets[i] = nil
		}
	}
}

// stream returns the open TCP connection, or a new one that is being opened. One
// that is for one question is shown to nobody else.
func (s *server) stream(now time.Time) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	single := s.single.lasts(now)
	if s.tcp != nil && !single {
		return s.tcp, nil
	}
	if len(s.streams) >= maxStreams {
		return nil, ErrUnreachable
	}
	c, err := openStream(s)
	if err != nil {
		return nil, err
	}
	if !single {
		s.tcp = c
	}
	s.streams[c] = struct{}{}
	return c, nil
}

// leaveStream makes the next question open a new connection; gone says that c is
// closed, too.
func (s *server) leaveStream(c *stream, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tcp == c {
		s.tcp = nil
	}
	if gone {
		delete(s.streams, c)
	}
}

// shut closes every socket and ends what is out on them with ErrClosed.
func (s *server) shut() {
	s.mu.Lock()
	s.closed = true
	tables := make([]*table, 0, len(s.open)+len(s.streams))
	for k := range s.open {
		tables = append(tables, &k.table)
	}
	for c := range s.streams {
		tables = append(tables, &c.table)
	}
	s.mu.Unlock()
	for _, t := range tables {
		for _, e := range t.shut() {
			e.f.abort(t, e.id, ErrClosed)
		}
	}
}
