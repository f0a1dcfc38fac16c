package upstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

const (
	searchTime  = 10 * time.Second // bound of one search for name servers
	searchPause = 5 * time.Second  // before another one after a failure: RFC 9520
	researchGap = 30 * time.Second // between searches because the servers found do not answer
	oldServers  = 24 * time.Hour   // how long servers may serve that cannot be found again
	maxBelow    = 256              // delegations below a list that are kept, and are searched for at a time
	maxHops     = 4                // delegations below a list that one question follows
)

// Direct asks a zone's own name servers, without recursion. They are searched
// for with the first question, anew when their TTL ends, and in between when
// none of them answers. It is an Asker like an Exchanger.
type Direct struct {
	finder *Finder
	zone   wire.Name

	mu       sync.Mutex
	base     *cut // servers of the zone; nil before they were found
	below    map[string]*cut
	searches map[string][]*call // that go on, by zone in wire form: the questions waiting for each
	research time.Time          // when servers were last searched because they failed
	failed   time.Time          // when a search last failed
	failure  error
}

// Direct returns the way to a zone's own servers. Nothing is asked yet.
func (f *Finder) Direct(zone wire.Name) *Direct {
	return &Direct{
		finder: f, zone: append(wire.Name(nil), zone...),
		below: make(map[string]*cut), searches: make(map[string][]*call),
	}
}

// Exchange is as Exchanger.Exchange.
func (d *Direct) Exchange(ctx context.Context, q Question) Outcome { return await(ctx, d, q) }

// judged changes nothing: what one of a list's servers says all do.
func (d *Direct) judged(func(Question, [][]byte) error) Asker { return d }

func (d *Direct) begin(q Question, slow func(), done func(Outcome)) ticket {
	return d.call(&call{slow: slow, done: done}, q)
}

func (d *Direct) aside(test func(ask probe)) {
	d.finder.pool.aside(test, func(q Question) Outcome {
		ch := make(chan Outcome, 1)
		// The search, if one is needed, has its own time: the test is of the list.
		d.call(&call{done: func(o Outcome) { ch <- o }, test: true}, q)
		return <-ch
	})
}

func (d *Direct) call(c *call, q Question) ticket {
	c.direct, c.started = d, time.Now()
	c.deadline = c.started.Add(d.finder.root.servers.opts.Deadline)
	c.q = Question{Name: append(wire.Name(nil), q.Name...), Type: q.Type}
	if !q.Name.Valid() || !q.Name.Under(d.zone) {
		go c.finish(Outcome{Err: ErrQuestion})
		return ticket{}
	}
	d.mu.Lock()
	at := d.nearest(q.Name, c.started)
	paused := c.started.Sub(d.failed) < searchPause
	var err error
	switch {
	case at == nil && paused:
		err = d.failure
	case at == nil:
		d.seek(d.zone, c, d.find)
	case at == d.base && at.ends(c.started) && !paused:
		d.seek(d.zone, nil, d.find)
	}
	d.mu.Unlock()
	switch {
	case at != nil:
		c.launch(at)
	case err != nil:
		go c.unfound(err)
	}
	return ticket{held: c}
}

// nearest returns the nearest known servers above name, nil if none are. mu is
// held.
func (d *Direct) nearest(name wire.Name, now time.Time) *cut {
	if len(d.below) > 0 {
		for n := name; len(n) > len(d.zone); n = n.Parent() {
			c := d.below[string(n)]
			if c != nil && now.Before(c.expires) {
				return c
			}
		}
	}
	if d.base != nil && now.Before(d.base.expires) {
		return d.base
	}
	return nil
}

// seek has c, if not nil, wait for a search, and starts it unless it goes on
// already. mu is held.
func (d *Direct) seek(zone wire.Name, c *call, find func(context.Context) (*cut, error)) {
	key := string(zone)
	if _, on := d.searches[key]; !on {
		if !d.finder.pool.gate.enter() {
			if c != nil {
				go c.finish(Outcome{Err: ErrClosed})
			}
			return
		}
		d.searches[key] = nil
		go d.search(key, find)
	}
	if c != nil {
		d.searches[key] = append(d.searches[key], c)
		c.wait()
	}
}

// find searches for the servers of the zone itself.
func (d *Direct) find(ctx context.Context) (*cut, error) { return d.finder.find(ctx, d.zone) }

func (d *Direct) search(key string, find func(context.Context) (*cut, error)) {
	defer d.finder.pool.gate.leave()
	ctx, cancel := context.WithTimeoutCause(d.finder.pool.ctx, searchTime, ErrTimeout)
	defer cancel()
	at, err := find(ctx)
	now := time.Now()
	d.mu.Lock()
	calls := d.searches[key]
	delete(d.searches, key)
	switch {
	case err == nil && key == string(d.zone):
		d.base = at
	case err == nil:
		if len(d.below) >= maxBelow {
			clear(d.below)
		}
		d.below[key] = at
	case key == string(d.zone):
		d.failed, d.failure = now, err
		if d.base != nil && now.Sub(d.base.found) < oldServers {
			old := *d.base // better than nobody
			if least := now.Add(leastTTL); old.expires.Before(least) {
				old.expires = least
			}
			d.base, at, err = &old, &old, nil
		}
	}
	d.mu.Unlock()
	for _, c := range calls {
		if err != nil {
			c.unfound(err)
		} else {
			c.launch(at)
		}
	}
}

// follow has c go on with the servers of a delegation below the zone.
func (d *Direct) follow(c *call, to wire.Delegation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, on := d.searches[string(to.Zone)]; !on && len(d.searches) >= maxBelow {
		go c.finish(Outcome{Err: ErrServfail})
		return
	}
	d.seek(to.Zone, c, func(ctx context.Context) (*cut, error) {
		at, err := d.finder.descend(ctx, to, d.zone)
		if err == nil {
			d.finder.acquaint(ctx, at)
		}
		return at, err
	})
}

// useless notes that none of a zone's servers gave an answer, and searches
// for others.
func (d *Direct) useless(at *cut) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key := string(at.zone); d.below[key] == at {
		delete(d.below, key)
		return
	}
	if now := time.Now(); at == d.base && now.Sub(d.research) >= researchGap {
		d.research = now
		d.seek(d.zone, nil, d.find)
	}
}

// call is one question on its way through delegations.
type call struct {
	direct   *Direct
	q        Question
	slow     func()
	done     func(Outcome)
	test     bool // it is our test question
	started  time.Time
	deadline time.Time
	hops     int

	mu    sync.Mutex
	over  bool
	timer *time.Timer // while it waits for a search
	at    *cut
	out   ticket // of the exchange that is out
}

// wait bounds the time that a search may take for this question.
func (c *call) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = ticket{}
	if c.timer == nil && !c.over {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.unfound(ErrTimeout) })
	}
}

// launch asks the servers.
func (c *call) launch(at *cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.at = at
	e := at.servers
	if c.test {
		e.aside(func(ask probe) { c.landed(ask(c.q)) })
		return
	}
	c.out = e.start(c.q, terms{deadline: max(time.Until(c.deadline), 1), slow: c.slow}, c.landed)
}

// landed takes an exchange's outcome.
func (c *call) landed(o Outcome) {
	c.mu.Lock()
	at := c.at
	c.out = ticket{} // it has landed: who stops the call now finds nothing out
	c.hops++
	hops := c.hops
	c.mu.Unlock()
	switch {
	case o.Err == nil && o.Response.Referral && o.delegation != nil:
		if hops <= maxHops {
			c.direct.follow(c, *o.delegation)
			return
		}
		o.Err = ErrServfail
	case errors.Is(o.Err, ErrTimeout), errors.Is(o.Err, ErrUnreachable),
		errors.Is(o.Err, ErrServfail), errors.Is(o.Err, ErrRefused):
		c.direct.useless(at)
	}
	c.finish(o)
}

// stop ends the question with err; done is called from another goroutine.
func (c *call) stop(_ uint32, err error) {
	c.mu.Lock()
	out, over := c.out, c.over
	c.mu.Unlock()
	switch {
	case over:
	case out.held != nil:
		out.cancel(err)
	default:
		go c.finish(Outcome{Err: err})
	}
}

// unfound ends a question for which there is nobody to ask. Silence where
// servers were searched for counts like theirs.
func (c *call) unfound(err error) {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if !over && c.slow != nil && errors.Is(err, ErrTimeout) {
		c.slow()
	}
	c.finish(Outcome{Err: err})
}

// finish calls done, once.
func (c *call) finish(o Outcome) {
	c.mu.Lock()
	over := c.over
	c.over = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	if !over {
		o.Took = time.Since(c.started)
		c.done(o)
	}
}
