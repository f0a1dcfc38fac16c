package overrides

import (
	"context"
	"maps"
	"sync"
	"time"

	"dnsblproxy/overrides/spf"
)

// maxAnswers is how many DNS answers are kept for live evaluation. Each of
// its questions but one or two is the same for every address.
const maxAnswers = 4096

// answers keeps DNS answers for their TTL, so that the evaluation of one
// address asks only what depends on the address. Errors are not kept.
type answers struct {
	mu   sync.Mutex
	kept map[asked]keptAnswer
}

type asked struct {
	name string
	t    spf.Type
}

type keptAnswer struct {
	answer  spf.Answer
	expires time.Time
}

// through returns a resolver that asks r what is not kept, within b.
func (c *answers) through(r Resolver, b *spf.Budget) Resolver { return cachedResolver{c, r, b} }

type cachedResolver struct {
	answers *answers
	next    Resolver
	budget  *spf.Budget
}

// Lookup answers from what is kept, or asks and keeps the answer.
func (r cachedResolver) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	q := asked{name, t}
	if a, ok := r.answers.get(q, time.Now()); ok {
		return a, nil
	}
	if !r.budget.Spend() {
		return spf.Answer{}, spf.ErrBudget
	}
	a, err := r.next.Lookup(ctx, name, t)
	if err == nil && a.TTL > 0 {
		r.answers.put(q, a, time.Now())
	}
	return a, err
}

// get returns the answer with the time it has left as its TTL.
func (c *answers) get(q asked, now time.Time) (spf.Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept[q]
	left := k.expires.Sub(now)
	if !ok || left <= 0 {
		return spf.Answer{}, false
	}
	k.answer.TTL = left
	return k.answer, true
}

func (c *answers) put(q asked, a spf.Answer, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxAnswers {
		maps.DeleteFunc(c.kept, func(_ asked, k keptAnswer) bool { return !now.Before(k.expires) })
		for old := range c.kept { // any tenth, if all of them still hold
			if len(c.kept) < maxAnswers*9/10 {
				break
			}
			delete(c.kept, old)
		}
	}
	c.kept[q] = keptAnswer{a, now.Add(min(a.TTL, maxTTL))}
}
