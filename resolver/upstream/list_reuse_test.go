package upstream

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// asker has questions begun by a function.
type asker struct {
	Asker // nil: what is not defined here is not used
	start func(q Question, done func(Outcome)) ticket
}

func (a *asker) judged(func(Question, [][]byte) error) Asker { return a }

func (a *asker) begin(q Question, _ func(), done func(Outcome)) ticket { return a.start(q, done) }

// stopped counts how often a question was to be canceled.
type stopped int

func (s *stopped) stop(uint32, error) { *s++ }

// A question that landed before it was known how to cancel it leaves its
// waiter to another one: that one is canceled when the breaker opens, once,
// and the first is not.
func TestList_waitersAreReused(t *testing.T) {
	zone := question(t, "zen.example.org", dns.TypeA).Name
	a := &asker{}
	l := NewList(ListOptions{Zone: zone, Holds: rbl.HoldsIP4, Ask: a})
	ask := Ask{Question: question(t, "4.3.2.1.zen.example.org", dns.TypeA), Shape: rbl.IP4}
	var first, second stopped
	var landed []string
	var finish func(Outcome)
	var w *waiter
	a.start = func(_ Question, done func(Outcome)) ticket {
		a.start = func(_ Question, done func(Outcome)) ticket {
			finish = done
			return ticket{held: &second}
		}
		w = l.breakers[0].waiters
		done(Outcome{})
		l.Start(ask, func(Outcome) { landed = append(landed, "second") })
		return ticket{held: &first}
	}
	l.Start(ask, func(Outcome) { landed = append(landed, "first") })
	b := l.breakers[0]
	if b.waiters != w || b.idle != nil {
		t.Error("the waiter was not used again")
	}
	b.claim()
	b.conclude(ErrTimeout)
	b.stop() // no test question is asked
	if first != 0 || second != 1 {
		t.Errorf("canceled %d and %d times, want 0 and 1", first, second)
	}
	finish(Outcome{Err: ErrBreaker})
	if got := strings.Join(landed, " "); got != "first second" || b.waiters != nil {
		t.Errorf("landed: %s; out: %v", got, b.waiters)
	}
}

// What a rush of questions needed is not kept when it is over.
func TestList_rushIsLetGo(t *testing.T) {
	var finish []func(Outcome)
	a := &asker{start: func(_ Question, done func(Outcome)) ticket {
		finish = append(finish, done)
		return ticket{}
	}}
	l := NewList(ListOptions{Zone: question(t, "zen.example.org", dns.TypeA).Name, Holds: rbl.HoldsIP4, Ask: a})
	ask := Ask{Question: question(t, "4.3.2.1.zen.example.org", dns.TypeA), Shape: rbl.IP4}
	for range 3 {
		finish = nil
		for range 10 * mostIdle {
			l.Start(ask, func(Outcome) {})
		}
		for _, done := range finish {
			done(Outcome{})
		}
		idle := 0
		for w := l.breakers[0].idle; w != nil; w = w.next {
			idle++
		}
		if idle != mostIdle || l.breakers[0].waiters != nil {
			t.Errorf("%d waiters are kept, want %d", idle, mostIdle)
		}
	}
}
