package overrides

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"dnsblproxy/overrides/spf"
)

// maxAnswers is how many DNS answers are kept for live evaluation, some 300 B
// each. Each of its questions but one or two is the same for every address.
// Larger ones than maxAnswer, in octets, are not kept: whose record has an answer
// for each address may make each as large as DNS permits.
const (
	maxAnswers = 1 << 14
	maxAnswer  = 4 << 10
)

// answers keeps DNS answers for their TTL, those of compiling a record among them,
// so that the evaluation of one address asks only what depends on the address.
// Errors are not kept.
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

// into returns a resolver that asks r and keeps the answers.
func (c *answers) into(r Resolver) Resolver { return keepingResolver{c, r} }

type keepingResolver struct {
	answers *answers
	next    Resolver
}

// Lookup asks and keeps the answer.
func (r keepingResolver) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	a, err := r.next.Lookup(ctx, name, t)
	if err == nil && a.TTL > 0 {
		r.answers.put(asked{name, t}, a, time.Now())
	}
	return a, err
}

// through returns a resolver that asks r what is not kept, within b.
func (c *answers) through(r Resolver, b *spf.Budget) Resolver {
	return cachedResolver{keepingResolver{c, r}, b}
}

type cachedResolver struct {
	keepingResolver
	budget *spf.Budget
}

// Lookup answers from what is kept, or asks and keeps the answer.
func (r cachedResolver) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	if a, ok := r.answers.get(asked{name, t}, time.Now()); ok {
		return a, nil
	}
	if !r.budget.Spend() {
		return spf.Answer{}, spf.ErrBudget
	}
	return r.keepingResolver.Lookup(ctx, name, t)
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
	size := 24 * len(a.Addrs)
	for _, s := range slices.Concat(a.Strings, a.Hosts) {
		size += 16 + len(s)
	}
	if size > maxAnswer {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	makeRoom(c.kept, maxAnswers, func(k keptAnswer) bool { return !now.Before(k.expires) })
	c.kept[q] = keptAnswer{a, now.Add(min(a.TTL, maxTTL))}
}

// makeRoom deletes what is over if there are most, then any tenth if there still are.
func makeRoom[K comparable, V any](m map[K]V, most int, over func(V) bool) {
	if len(m) < most {
		return
	}
	maps.DeleteFunc(m, func(_ K, v V) bool { return over(v) })
	for k := range m {
		if len(m) < most*9/10 {
			break
		}
		delete(m, k)
	}
}
