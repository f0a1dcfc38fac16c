package cache

import (
	"sync"
	"sync/atomic"
)

// value is what ristretto stores by value, 16 bytes. It is immutable.
type value struct {
	answer  *answer // never nil in the store
	expires uint32
	life    uint32
}

// end returns the second from which v is no use, not even as stale.
func (v value) end() uint64 { return uint64(v.expires) + uint64(v.answer.keep) }

// answer is the part of an entry that entries share, or, with a name, the part
// that belongs to one entry. All but refs is immutable.
type answer struct {
	data string
	name string // "" for an exact key
	head uint64
	keep uint32
	cost uint32  // bytes that the entry is charged, without shared data
	base *answer // the shared answer that data belongs to, or nil

	shared bool
	refs   int32 // guarded by answers.mu; of a shared answer only
}

// answers holds the shared ones. Its writers are the drainer and ristretto's
// own goroutine, never a reader.
type answers struct {
	mu    sync.Mutex
	byKey map[answerKey]*answer
	bytes atomic.Int64 // what they take in memory
	last  *answer      // that was held: most often the next one is the same
}

type answerKey struct {
	data string
	keep uint32
}

// maxShared is the longest answer that is shared, in bytes. Longer ones are
// texts made for one address; they are charged to their entry.
const maxShared = 256

// sharedBytes is what a shared answer costs beside its data.
const sharedBytes = 160

func (a *answers) hold(data string, keep uint32) *answer {
	key := answerKey{data, keep}
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.last; l != nil && l.refs > 0 && l.keep == keep && l.data == data {
		l.refs++
		return l
	}
	shared, ok := a.byKey[key]
	if !ok {
		shared = &answer{data: data, keep: keep, cost: EntryBytes, shared: true}
		a.byKey[key] = shared
		a.bytes.Add(int64(len(data)) + sharedBytes)
	}
	shared.refs++
	a.last = shared
	return shared
}

func (a *answers) release(shared *answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if shared.refs--; shared.refs == 0 {
		delete(a.byKey, answerKey{shared.data, shared.keep})
		a.bytes.Add(-int64(len(shared.data)) - sharedBytes)
	}
}

// value makes of what is pending what will be stored. It takes a reference
// that exit gives back.
func (c *Cache) value(p *pending) value {
	v := value{expires: p.expires, life: p.life}
	data, cost := p.data, EntryBytes
	var base *answer
	if len(p.data) <= maxShared {
		base = c.answers.hold(p.data, p.keep)
		if p.head == 0 {
			v.answer = base
			return v
		}
		data = base.data // lets go of the copy
	} else {
		cost += sharedBytes + len(p.data)
	}
	if p.head != 0 {
		cost += namedBytes + len(p.name)
	}
	v.answer = &answer{data: data, name: p.name, head: p.head, keep: p.keep, cost: uint32(cost), base: base}
	return v
}

// exit is called by ristretto exactly once for every value that Set took and
// that is replaced, evicted or refused.
func (c *Cache) exit(v value) {
	if v.answer == nil {
		return // an eviction whose entry was gone already
	}
	c.entries.Add(-1)
	c.bytes.Add(-int64(v.answer.cost))
	switch {
	case v.answer.base != nil:
		c.answers.release(v.answer.base)
	case v.answer.shared:
		c.answers.release(v.answer)
	}
}
