package cache

import (
	"sync"
	"sync/atomic"
)

// value is what ristretto stores by value, 24 bytes. It is immutable.
type value struct {
	answer  *answer // never nil in the store
	check   uint64  // the key's
	expires uint32
	life    uint32
}

// end returns the second from which v is no use, not even as stale.
func (v value) end() uint64 { return uint64(v.expires) + uint64(v.answer.keep) }

// answer is the part of an entry that entries share, unless it is too long for
// that. It is immutable but for what the lock of answers guards.
type answer struct {
	data   string
	keep   uint32
	cost   uint32 // bytes that the entry is charged
	shared bool

	// Of a shared answer, guarded by answers.mu.
	refs   int
	places int    // of the window, that hold it; they are among refs
	word   uint32 // its number, while there are any
}

// answers holds the shared ones. Its writers are Set, the drainer and ristretto's
// own goroutine, never a reader. A shard's lock is taken before its own.
type answers struct {
	mu    sync.Mutex
	byKey map[answerKey]*answer
	bytes atomic.Int64 // what they take in memory
	last  *answer      // that was held: most often the next one is the same

	// words are those that the window has, by number. One is written before the first
	// place has its number, and not again before the last has given it back.
	words []*answer
	free  []uint32 // numbers
}

// init gives a so many numbers.
func (a *answers) init(words int) {
	a.byKey, a.words, a.free = map[answerKey]*answer{}, make([]*answer, words), make([]uint32, words)
	for i := range a.free {
		a.free[i] = uint32(i)
	}
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
	a.mu.Lock()
	defer a.mu.Unlock()
	shared := a.find(data, keep)
	if shared == nil {
		shared = &answer{data: data, keep: keep, cost: EntryBytes, shared: true}
		a.byKey[answerKey{data, keep}] = shared
		a.bytes.Add(int64(len(data)) + sharedBytes)
		a.last = shared
	}
	shared.refs++
	return shared
}

// word returns the number of an answer and holds it for a place of the window; false
// if nobody else has the answer, or if no number is left.
func (a *answers) word(data string, keep uint32) (uint32, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	shared := a.find(data, keep)
	if shared == nil {
		return 0, false
	}
	if shared.places == 0 {
		last := len(a.free) - 1
		if last < 0 {
			return 0, false
		}
		shared.word, a.free = a.free[last], a.free[:last]
		a.words[shared.word] = shared
	}
	shared.places++
	shared.refs++
	return shared.word, true
}

// forget gives back what word held.
func (a *answers) forget(word uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	shared := a.words[word]
	if shared.places--; shared.places == 0 {
		a.words[word] = nil
		a.free = append(a.free, word)
	}
	a.drop(shared)
}

// find returns the shared answer of this content, nil if there is none.
func (a *answers) find(data string, keep uint32) *answer {
	if l := a.last; l != nil && l.refs > 0 && l.keep == keep && l.data == data {
		return l
	}
	a.last = a.byKey[answerKey{data, keep}]
	return a.last
}

func (a *answers) release(shared *answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(shared)
}

func (a *answers) drop(shared *answer) {
	if shared.refs--; shared.refs == 0 {
		delete(a.byKey, answerKey{shared.data, shared.keep})
		a.bytes.Add(-int64(len(shared.data)) - sharedBytes)
	}
}

// value makes of what is pending what will be stored. It takes a reference
// that exit gives back.
func (c *Cache) value(p *pending) value {
	v := value{check: p.check, expires: p.expires, life: p.life}
	if len(p.data) <= maxShared {
		v.answer = c.answers.hold(p.data, p.keep)
	} else {
		v.answer = &answer{data: p.data, keep: p.keep, cost: uint32(p.cost())}
	}
	return v
}

// cost returns the bytes that an entry is charged, without shared data.
func (w *write) cost() int {
	if len(w.data) <= maxShared {
		return EntryBytes
	}
	return EntryBytes + sharedBytes + len(w.data)
}

// exit is called by ristretto exactly once for every value that Set took and
// that is replaced, evicted or refused.
func (c *Cache) exit(v value) {
	if v.answer == nil {
		return // an eviction whose entry was gone already
	}
	c.entries.Add(-1)
	c.bytes.Add(-int64(v.answer.cost))
	if v.answer.shared {
		c.answers.release(v.answer)
	}
}
