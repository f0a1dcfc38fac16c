package upstream

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

const (
	firstTest   = 10 * time.Millisecond // after the start: who cannot listen is gone by then, and asks no list every two seconds
	testPause   = time.Minute           // least pause between tests; also the pause in quarantine
	saveBudgets = 10 * time.Second
)

// Run tests the list until ctx ends, and keeps its budget saved. It must be
// called, without Probe too: when it returns the list asks no more test
// questions.
func (l *List) Run(ctx context.Context) {
	defer l.close()
	next := time.NewTimer(firstTest) // until it has been tested the list is believed
	defer next.Stop()
	save := time.NewTicker(saveBudgets)
	defer save.Stop()
	var last time.Time
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-save.C:
			l.save()
		case <-l.burst:
			last = time.Time{} // no pause: users get these listings
			next.Reset(0)
		case <-l.wake:
			next.Reset(max(0, time.Until(last.Add(testPause))))
		case <-next.C:
			if !l.opts.Probe {
				continue
			}
			last = time.Now()
			l.examine(ctx)
			if first {
				close(l.examined)
				first = false
			}
			pause := l.opts.Every
			if l.State().Condition == Quarantined {
				pause = min(pause, testPause)
			}
			next.Reset(pause*4/5 + rand.N(pause*2/5+1))
		}
	}
}

// Check has Run test the list soon, a minute after the last time at the
// earliest: somebody else says that the list lies or is gone.
func (l *List) Check() { notify(l.wake) }

// notify has Run hear of something that it may have been told of already.
func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (l *List) close() {
	l.mu.Lock()
	l.closed = true
	for _, b := range l.breakers {
		b.stop()
	}
	l.mu.Unlock()
	l.save()
}

func (l *List) save() {
	if l.budget == nil || l.opts.Save == nil {
		return
	}
	if s, changed := l.budget.unsaved(); changed && l.opts.Save(s) == nil {
		l.budget.kept(s)
	}
}

// examine tests every shape that the list holds and draws the conclusions.
// What could not be asked changes nothing.
func (l *List) examine(ctx context.Context) {
	answered, listed := false, false
	lie, liar := "", (*breaker)(nil)
	var trouble *CodeError
	var passed []*breaker
	for _, b := range l.breakers {
		hit, err := l.askListed(ctx, b)
		if err != nil {
			if !b.open.Load() {
				l.Check() // our question was out already
			}
			continue
		}
		answered, listed = true, listed || hit
		why, err := l.listsTheWorld(ctx, b.shape)
		if why != "" {
			lie, liar = why, b
			break // no other shape's silence is to keep it believed
		}
		if err != nil {
			errors.As(err, &trouble)
			continue
		}
		passed = append(passed, b)
	}
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range passed {
		b.lie = ""
	}
	if liar != nil {
		liar.distrust(lie)
	}
	if answered {
		switch {
		case !listed && l.opts.Judge == rbl.ProbeRFC:
			l.suspicion = "it does not list its test entry (RFC 5782, section 5)"
		case trouble != nil:
			l.suspicion = "asked about what no list holds, the " + trouble.Error()
		default:
			l.suspicion = ""
		}
	}
	l.update()
}

// distrust puts the list in quarantine. When the same tests fail again that is no
// other reason. list.mu is held.
func (b *breaker) distrust(why string) { b.lie = cmp.Or(b.lie, why) }

// askListed asks for the entry that must be listed, which is the breaker's own
// test question.
func (l *List) askListed(ctx context.Context, b *breaker) (listed bool, err error) {
	if !b.claim() {
		return false, ErrBreaker // it asks already, and draws its conclusions itself
	}
	var hit bool
	done := make(chan error, 1)
	l.opts.Ask.aside(func(ask probe) {
		var err error
		hit, err = b.testWith(ask, true)
		done <- err
	})
	select {
	case err := <-done:
		return hit, err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// listsTheWorld asks for what no list may hold. why is empty when all is well; err
// is why that could not be found out.
func (l *List) listsTheWorld(ctx context.Context, shape rbl.Shape) (why string, err error) {
	ask := func(q Question) Outcome { return l.opts.Ask.Exchange(ctx, q) }
	if l.opts.Judge == rbl.ProbeRFC {
		entry := func() rbl.Subject { return testSubject(shape, rbl.TestUnlisted) }
		if s, listed, err := l.askTwice(ask, entry); err != nil {
			return "", err
		} else if listed {
			return "it lists " + s.String() + ", which no list may (RFC 5782, section 5)", nil
		}
	}
	if l.opts.Judge != rbl.ProbeNone {
		entry := func() rbl.Subject { return randomSubject(shape) }
		if s, listed, err := l.askTwice(ask, entry); err != nil {
			return "", err
		} else if listed {
			return listsRandom(s), nil
		}
	}
	return "", nil
}

func listsRandom(s rbl.Subject) string {
	return "it lists random test subjects, " + s.String() + " for one"
}

// askTwice reports whether subjects of entry are listed. Two have to say so before
// it believes it, and likewise that the list in quarantine has been mended: a
// resolver may have one answer from before.
func (l *List) askTwice(ask probe, entry func() rbl.Subject) (s rbl.Subject, listed bool, err error) {
	_, believed := l.Quarantined()
	for range 2 {
		s = entry()
		o := ask(l.about(s))
		if o.Err != nil {
			return s, false, o.Err
		}
		if listed, err = l.judge(o.Response.Records); err != nil || listed == believed {
			return s, listed, err
		}
	}
	return s, listed, nil
}

// about returns the A question about a subject.
func (l *List) about(s rbl.Subject) Question {
	return Question{Name: append(s.AppendWire(nil), l.opts.Zone...), Type: wire.TypeA}
}

// testSubject returns a test entry of RFC 5782, section 5.
func testSubject(shape rbl.Shape, test rbl.TestEntry) rbl.Subject {
	last, word := byte(2), "test"
	if test == rbl.TestUnlisted {
		last, word = 1, "invalid"
	}
	v4 := netip.AddrFrom4([4]byte{127, 0, 0, last})
	switch shape {
	case rbl.IP6:
		return rbl.AddrSubject(netip.AddrFrom16(v4.As16()))
	case rbl.Domain:
		return rbl.Subject{Shape: rbl.Domain, Domain: word}
	}
	return rbl.AddrSubject(v4)
}

// randomSubject returns an address of the documentation nets (RFC 5737, RFC
// 3849) or a name below "invalid" (RFC 2606), where nobody sends mail from.
func randomSubject(shape rbl.Shape) rbl.Subject {
	bits := rand.Uint64()
	switch shape {
	case rbl.IP6:
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint64(a[8:], bits)
		return rbl.AddrSubject(netip.AddrFrom16(a))
	case rbl.Domain:
		return rbl.Subject{Shape: rbl.Domain, Domain: strconv.FormatUint(bits, 36) + ".invalid"}
	}
	nets := [3][3]byte{{192, 0, 2}, {198, 51, 100}, {203, 0, 113}}
	n := nets[bits%3]
	return rbl.AddrSubject(netip.AddrFrom4([4]byte{n[0], n[1], n[2], byte(1 + bits>>8%254)}))
}
