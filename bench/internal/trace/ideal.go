package trace

import (
	"container/heap"
	"container/list"
	"time"
)

// use is a record that a question needs at a time, and the question at which it
// is needed next.
type use struct {
	at   time.Duration
	key  uint64
	life time.Duration
	next int // index of the next use of key; len(uses) without one
}

// uses are what the questions need, one record each. Where an NXDOMAIN answers
// for every type, the text of what is not listed needs no record of its own.
func (p *Params) uses(all []Question, everyType bool) []use {
	out := make([]use, len(all))
	last := make(map[uint64]int, len(all)/4)
	for i, q := range all {
		key := uint64(q.Addr)<<8 | uint64(q.List)<<1
		if q.Text && (!everyType || p.Listed(q.List, q.Addr)) {
			key |= 1
		}
		out[i] = use{at: q.At, key: key, life: p.Life(q.List, q.Addr), next: len(all)}
		if before, ok := last[key]; ok {
			out[before].next = i
		}
		last[key] = i
	}
	return out
}

// Infinite is how many questions a cache asks that never runs out of room:
// each record once for each of its lives. None can do with less.
func (p *Params) Infinite(all []Question) int { return infinite(p.uses(all, true)) }

// EachType is Infinite for a cache that asks for TXT although it knows that
// there is no such name.
func (p *Params) EachType(all []Question) int { return infinite(p.uses(all, false)) }

func infinite(uses []use) (asked int) {
	ends := map[uint64]time.Duration{}
	for _, u := range uses {
		if end, ok := ends[u.key]; !ok || end <= u.at {
			asked++
			ends[u.key] = u.at + u.life
		}
	}
	return asked
}

// LRU is how many questions a cache asks that has room for a number of records
// and gives up the one that was not used for the longest time.
func (p *Params) LRU(all []Question, room int) int { return lru(p.uses(all, true), room) }

func lru(uses []use, room int) (asked int) {
	type record struct {
		key  uint64
		ends time.Duration
	}
	order := list.New()
	at := map[uint64]*list.Element{}
	for _, u := range uses {
		e, ok := at[u.key]
		if ok {
			order.MoveToFront(e)
			if r := e.Value.(*record); r.ends <= u.at {
				asked++
				r.ends = u.at + u.life
			}
			continue
		}
		asked++
		at[u.key] = order.PushFront(&record{u.key, u.at + u.life})
		if order.Len() > room {
			delete(at, order.Remove(order.Back()).(*record).key)
		}
	}
	return asked
}

// MIN is how many questions a cache asks that has room for a number of records
// and knows the future: it keeps those that are needed again soonest, and none
// that will be past its TTL by then. Without TTLs nothing can do better (Belady
// 1966). With them, to give up a record and fetch it later can move the end of
// its life to a better place, so that a few questions less are conceivable.
func (p *Params) MIN(all []Question, room int) int { return belady(p.uses(all, true), room) }

// kept is a record in the cache of belady.
type kept struct {
	ends time.Duration
	next int
}

func belady(uses []use, room int) (asked int) {
	have := map[uint64]kept{}
	far := farthest{}
	for _, u := range uses {
		k, ok := have[u.key]
		if !ok {
			asked++
			k.ends = u.at + u.life
		}
		if u.next == len(uses) || uses[u.next].at >= k.ends {
			delete(have, u.key) // no use before its end
			continue
		}
		k.next = u.next
		have[u.key] = k
		heap.Push(&far, candidate{u.key, u.next})
		for len(have) > room {
			c := heap.Pop(&far).(candidate)
			if have[c.key].next == c.next {
				delete(have, c.key)
			}
		}
	}
	return asked
}

// candidate was kept for its next use. It is void once that has passed.
type candidate struct {
	key  uint64
	next int
}

// farthest has the one on top whose next use is the last.
type farthest []candidate

func (f farthest) Len() int           { return len(f) }
func (f farthest) Less(i, j int) bool { return f[i].next > f[j].next }
func (f farthest) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *farthest) Push(x any)        { *f = append(*f, x.(candidate)) }
func (f *farthest) Pop() any {
	old := *f
	last := old[len(old)-1]
	*f = old[:len(old)-1]
	return last
}
