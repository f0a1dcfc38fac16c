package load

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what is asked.
type Options struct {
	Server netip.AddrPort
	Zone   Zone
	Names  *Row          // asked about, for A
	For    time.Duration // how long questions are asked

	Clients int // sockets; 1 if 0

	// Outstanding is the number of questions that each client keeps
	// outstanding in a closed loop; 1 if 0.
	Outstanding int

	// Total, if not 0, ends a closed loop after so many questions.
	Total int

	// Rate is how many questions a second an open loop asks, all clients
	// together.
	Rate float64

	// Spin has the generator look for answers all the time instead of sleeping
	// until they come, so that its own awakening is not part of the latency.
	Spin bool
}

// Result is what a run found.
type Result struct {
	Asked, Answered, Lost int
	Rcodes                [16]int
	Took                  time.Duration // until the last answer
	Last                  time.Time     // when the last answer was read
	Latency               Histogram
}

// patience is how long after the last answer those that lack are given up.
const patience = 500 * time.Millisecond

// deadAfter is how many times in a row a closed loop asks anew in vain.
const deadAfter = 10

// runner is one run at work.
type runner struct {
	o       Options
	sockets []*socket
	epoll   int
	events  []unix.EpollEvent
	res     *Result
	started time.Time
	ticked  int64         // when tick was last called
	silent  time.Duration // since the latest answer
}

func newRunner(o Options) (*runner, error) {
	o.Clients, o.Outstanding = max(o.Clients, 1), max(o.Outstanding, 1)
	r := &runner{o: o, res: &Result{}, events: make([]unix.EpollEvent, o.Clients)}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("opening an epoll: %w", err)
	}
	for i := range o.Clients {
		s, err := newSocket(o.Server)
		if err != nil {
			r.close()
			return nil, err
		}
		r.sockets = append(r.sockets, s)
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
			r.close()
			return nil, fmt.Errorf("watching a socket: %w", err)
		}
	}
	return r, nil
}

func (r *runner) close() {
	for _, s := range r.sockets {
		s.close()
	}
	_ = unix.Close(r.epoll)
}

// now is in nanoseconds since the run began, and never 0.
func (r *runner) now() int64 { return int64(time.Since(r.started)) + 1 }

// tick is now, and notes how long no answer has come. Of a machine that stands
// still only a moment counts: it loses nothing.
func (r *runner) tick() (now int64) {
	now = r.now()
	r.silent += min(time.Duration(now-r.ticked), longestWait)
	r.ticked = now
	return now
}

// longestWait is how long the loops wait at a time.
const longestWait = 10 * time.Millisecond

// wait returns the sockets that have answers, waiting at most for d.
func (r *runner) wait(d time.Duration) []unix.EpollEvent {
	if r.o.Spin {
		d = 0
	}
	ts := unix.NsecToTimespec(int64(d))
	n, err := epollPwait2(r.epoll, r.events, &ts)
	if err != nil {
		return nil
	}
	return r.events[:n]
}

// collect reads the answers of s and returns how many there were.
func (r *runner) collect(s *socket, many bool) int {
	n, found := s.receive(many), 0
	now := r.now()
	for i := range n {
		due, rcode, ok := s.take(i)
		if !ok {
			continue
		}
		found++
		r.res.Rcodes[rcode]++
		r.res.Latency.Record(time.Duration(now - due))
	}
	if found > 0 {
		r.res.Last = r.started.Add(time.Duration(now))
	}
	r.res.Answered += found
	return found
}

// end closes the books.
func (r *runner) end() *Result {
	r.res.Took = time.Duration(r.now())
	if r.res.Answered > 0 { // then it may have waited in vain
		r.res.Took = r.res.Last.Sub(r.started)
	}
	for _, s := range r.sockets {
		r.res.Lost += s.forget()
	}
	return r.res
}

// Closed runs a closed loop; the end of ctx ends it, with an error.
func Closed(ctx context.Context, o Options) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := newRunner(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.started = time.Now()
	for _, s := range r.sockets {
		if err := r.ask(s, r.o.Outstanding); err != nil {
			return nil, err
		}
	}
	for vain := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		asking := r.tick() < int64(r.o.For)
		if !asking && r.idle() {
			return r.end(), nil
		}
		if r.silent > patience {
			if !asking {
				return r.end(), nil
			}
			if vain++; vain > deadAfter {
				return nil, fmt.Errorf("asking %s: no answer any more", o.Server)
			}
			if err := r.restart(); err != nil {
				return nil, err
			}
			r.silent = 0
		}
		for _, ev := range r.wait(longestWait) {
			s := r.sockets[ev.Fd]
			n := r.collect(s, r.o.Outstanding > 1)
			if n == 0 {
				continue
			}
			r.silent, vain = 0, 0
			if asking {
				if err := r.ask(s, n); err != nil {
					return nil, err
				}
			}
		}
	}
}

// ask asks n more questions.
func (r *runner) ask(s *socket, n int) error {
	for ; n > 0; n-- {
		if r.o.Total > 0 && r.res.Asked == r.o.Total {
			r.o.For = 0
			break
		}
		if err := s.queue(r.o.Zone, r.o.Names.Next(), TypeA, r.now()); err != nil {
			return err
		}
		r.res.Asked++
	}
	return s.flush()
}

// restart gives up what does not come and fills the window again.
func (r *runner) restart() error {
	for _, s := range r.sockets {
		n := s.forget()
		r.res.Lost += n
		if err := r.ask(s, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) idle() bool {
	return !slices.ContainsFunc(r.sockets, func(s *socket) bool { return s.left > 0 })
}

// Open runs an open loop; the end of ctx ends it, with an error.
func Open(ctx context.Context, o Options) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := newRunner(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	plan := newSchedule(r.o.Rate, 1)
	r.started = time.Now()
	turn := 0
	for {
		now := r.tick()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for plan.next <= min(now, int64(r.o.For)) {
			s := r.sockets[turn%len(r.sockets)]
			turn++
			if err := s.queue(r.o.Zone, r.o.Names.Next(), TypeA, plan.take()); err != nil {
				return nil, err
			}
			r.res.Asked++
		}
		for _, s := range r.sockets {
			if err := s.flush(); err != nil {
				return nil, err
			}
		}
		until := time.Duration(plan.next - r.now())
		switch over := plan.next > int64(r.o.For); {
		case !over:
			r.silent = 0
		case r.idle() || r.silent > patience:
			return r.end(), nil
		default:
			until = time.Millisecond
		}
		for _, ev := range r.wait(max(until, 0)) {
			if r.collect(r.sockets[ev.Fd], true) > 0 {
				r.silent = 0
			}
		}
	}
}
