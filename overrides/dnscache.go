package overrides

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
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

// keeper is a Resolver that asks next what is not kept, or everything anew, and
// keeps the answers.
type keeper struct {
	answers *answers
	next    Resolver
	anew    bool
	left    *atomic.Int64 // questions; nil: no bound
}

// Lookup answers from what is kept, or asks and keeps the answer.
func (k keeper) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	q := asked{name, t}
	if a, ok := k.answers.get(q, time.Now()); ok && !k.anew {
		return a, nil
	}
	if k.left != nil && k.left.Add(-1) < 0 {
		return spf.Answer{}, spf.ErrBudget
	}
	a, err := k.next.Lookup(ctx, name, t)
	if err == nil && a.TTL > 0 {
		k.answers.put(q, a, time.Now())
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
