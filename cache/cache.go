// Package cache keeps DNS answers in memory: (zone, question) → packed answer.
// It knows nothing of DNS but the shapes of questions; what the bytes mean,
// what may be cached, and for how long, is the resolver's business.
//
// What is set enters a window of the newest answers, and what leaves that to make
// room goes into the store, ristretto, whose admission keeps what is popular. Most
// answers are asked for once and are over before they leave; the store, where an
// entry is dear, never hears of them.
//
// ristretto's Set is asynchronous, may be dropped, and loses the second of two
// quick writes to a new key. So one goroutine makes all writes, and what waits for
// it stands in a small table in front, where Get looks before the store: an answer
// is there for every Get that begins after Set returned, and the newest one wins.
// Only the bounds of the cache can take it away again.
//
// An IPv4 question is its own key, packed into 63 bits without loss, and can
// never be mistaken for another. Every other question is known by 114 bits of two
// hashes with secret seeds.
//
// Equal answers are kept once, because nearly all of a blocklist's answers are
// the same NXDOMAIN.
//
// Memory is bounded whether expired answers are there or not. They are removed,
// and so are those of a zone that was flushed, in the course of later writes;
// without writes nobody needs their room.
package cache

import (
	"errors"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// Options says how large a cache is and which clock it goes by.
type Options struct {
	// MaxBytes bounds the memory of all entries with all that belongs to
	// them, in bytes. At least MinBytes.
	MaxBytes int64

	// Now returns seconds on a clock that never goes back. It is called on
	// every Get and Set and must be cheap.
	Now func() uint32
}

// MinBytes is the least a cache can work with.
const MinBytes = 1 << 20

// EntryBytes is what an entry of the store costs beside its answer, in bytes: the
// slot in ristretto's map and in its table of costs, the frequency counters, and
// records of when it ends. Go's maps are half empty, and more than that where
// entries come and go, as they do in a cache that is full.
const EntryBytes = 240

// Capacity returns how many answers a cache of maxBytes has room for, if they are
// few different ones.
func Capacity(maxBytes int64) int {
	window := int64(windowBuckets(maxBytes)) * numShards * bucketBytes
	return int(window/bucketBytes*ways + (maxBytes-window)/EntryBytes)
}

// Entry is one answer. It is a value; Data is immutable.
type Entry struct {
	Expires uint32 // seconds on the cache's clock; it may be past
	Life    uint32 // seconds, the whole life that Set gave: for prefetch and TTLs
	Data    string // packed answer
}

// Cache is safe for concurrent use. It must be closed.
type Cache struct {
	store *ristretto.Cache[uint64, value] // by spread.hash
	now   func() uint32

	shards [numShards]shard
	queue  queue
	alarm  *time.Timer // when to write next
	settle chan chan struct{}
	quit   chan struct{}
	done   chan struct{}

	// The drainer's own.
	taken    []*pending // from the queue
	at       int        // how many of these are written
	replaced bool
	calendar calendar
	dead     map[uint32]bool // zones being flushed
	flushing []uint32        // slots of the calendar that are still to be seen

	closing sync.Once

	spread   *spread
	answers  answers
	maxBytes int64 // of the store and of answers

	seeds    [2]maphash.Seed
	hashMask uint64 // all ones; tests clear bits to force collisions

	zones zones

	entries atomic.Int64 // in the store, or on the way into it
	bytes   atomic.Int64 // what they cost, without shared answers
	dropped atomic.Uint64
}

// New starts a cache.
func New(o Options) (*Cache, error) {
	if o.Now == nil {
		return nil, errors.New("cache: no clock")
	}
	if o.MaxBytes < MinBytes {
		return nil, errors.New("cache: smaller than 1 MiB")
	}
	c := &Cache{
		now:      o.Now,
		queue:    queue{room: make(chan struct{}, 1)},
		alarm:    time.NewTimer(gatherFor),
		settle:   make(chan chan struct{}),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		seeds:    [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		hashMask: ^uint64(0),
	}
	buckets := windowBuckets(o.MaxBytes)
	c.maxBytes = o.MaxBytes - int64(buckets)*numShards*bucketBytes
	capacity := c.maxBytes / EntryBytes
	c.spread = newSpread()
	store, err := ristretto.NewCache(&ristretto.Config[uint64, value]{
		NumCounters: counters(capacity),
		MaxCost:     c.maxBytes,
		BufferItems: 64,
		// Without this ristretto adds 56 to every cost.
		IgnoreInternalCost: true,
		// Nothing has a TTL there, and it need not wake up to look.
		TtlTickerDurationInSec: 1 << 32,
		KeyToHash:              func(hash uint64) (uint64, uint64) { return hash, 0 },
		OnExit:                 c.exit,
		// Called by Set, in the drainer, when the key is there already.
		ShouldUpdate: func(_, _ value) bool { c.replaced = true; return true },
	})
	if err != nil {
		return nil, err
	}
	c.store = store
	c.calendar = calendar{slots: map[uint32][][]uint64{}, max: int(2 * capacity)}
	// The answers themselves are so bounded by a sixteenth of it as well.
	c.answers.init(int(o.MaxBytes / 16 / (maxShared + sharedBytes)))
	c.zones = zones{by: map[string]zoneState{}, dead: map[uint32]bool{}}
	window := make([]bucket, buckets*numShards)
	for i := range c.shards {
		c.shards[i].window = window[i*buckets : (i+1)*buckets]
		c.shards[i].front = make([]*pending, numChains)
	}
	go c.drain()
	return c, nil
}

// counters returns how many frequency counters to keep: the power of two from
// one and a half times the capacity on. Each takes 4 bytes. Ten per entry, as
// ristretto's manual has it, bring 4 % more hits and cost 40 to 80 bytes an
// entry, which buys more entries instead.
func counters(capacity int64) int64 {
	return 1 << bits.Len64(uint64(capacity+capacity/2-1))
}

// Get returns the answer to k. It returns expired ones too, until the time
// that Set gave as keep has passed as well: whether stale is good enough is
// for the caller to say. It does not allocate.
func (c *Cache) Get(k Key) (Entry, bool) {
	if k.packed == 0 {
		return Entry{}, false
	}
	hash := c.spread.hash(k.packed)
	s := c.shard(hash)
	// The lock is held over the look into the store, so that Close can wait
	// for us: ristretto panics on a Get that races its Close.
	s.mu.RLock()
	e, keep, ok := c.find(s, k, hash)
	s.mu.RUnlock()
	if !ok || c.gone(e.Expires, keep) {
		return Entry{}, false
	}
	return e, true
}

// find returns what is there for a key, with the time that it is kept as stale: in
// the window, on its way from there, or in the store. Its shard is locked.
func (c *Cache) find(s *shard, k Key, hash uint64) (e Entry, keep uint32, ok bool) {
	if s.closed || s.missed.Load() == k.packed {
		return Entry{}, 0, false
	}
	b := s.bucket(hash)
	if place := b.find(k.packed, k.check); place >= 0 {
		cell := b.cells[place]
		a := c.answers.words[cell.word]
		return Entry{cell.expires, cell.life, a.data}, a.keep, true
	}
	if p := s.get(k.packed, hash); p != nil {
		return Entry{p.expires, p.life, p.data}, p.keep, p.check == k.check
	}
	if v, ok := c.store.Get(hash); ok {
		return Entry{v.expires, v.life, v.answer.data}, v.answer.keep, v.check == k.check
	}
	s.missed.Store(k.packed)
	return Entry{}, 0, false
}

// gone reports whether even the time past expiry is over.
func (c *Cache) gone(expires, keep uint32) bool {
	return uint64(c.now()) >= uint64(expires)+uint64(keep)
}

// Set stores data as the answer to k for life seconds, and for keep more as
// stale. Every Get that begins after Set returned finds it. Set waits only
// where 16,384 writes are under way already, for as long as the store needs to
// take one of them, some microseconds.
func (c *Cache) Set(k Key, data string, life, keep uint32) {
	if k.packed == 0 {
		return
	}
	now := c.now()
	w := write{
		packed: k.packed, check: k.check, hash: c.spread.hash(k.packed), data: data,
		expires: now + min(life, ^uint32(0)-now), life: life, keep: keep,
	}
	if !c.queue.wait(c.quit) {
		return
	}
	p := c.add(c.shard(w.hash), &w)
	if p == nil {
		return
	}
	switch n := c.queue.put(p); {
	case n == 1:
		c.alarm.Reset(gatherFor)
	case n%portion == 0:
		c.alarm.Reset(0)
	}
}

// Settle waits until all that is on its way is in the store, without the pause
// in which writes gather otherwise. It is for simulations, where a moment of
// ours may be an hour of theirs.
func (c *Cache) Settle() {
	settled := make(chan struct{})
	select {
	case c.settle <- settled:
		<-settled
	case <-c.quit:
	}
}

// Len returns the number of entries, expired ones included. What is still on
// its way into the store is counted as one more, and so is an older answer there
// to what was renewed in the window.
func (c *Cache) Len() int { return c.held() + int(c.entries.Load()+c.queue.n.Load()) }

// Bytes returns the memory that the entries take, as counted against
// MaxBytes.
func (c *Cache) Bytes() int64 {
	return int64(c.held())*bucketBytes/ways + c.bytes.Load() + c.answers.bytes.Load()
}

// held returns the number of answers in the window.
func (c *Cache) held() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += s.held
		s.mu.RUnlock()
	}
	return n
}

// full reports whether the store has no room for another entry.
func (c *Cache) full() bool {
	return c.bytes.Load()+c.answers.bytes.Load()+EntryBytes > c.maxBytes
}

// Dropped returns how many writes ristretto dropped. It stays 0 as long as this
// package keeps the promises of drain.
func (c *Cache) Dropped() uint64 { return c.dropped.Load() }

// Close stops the cache and waits for its goroutines and for calls in flight.
// Later Gets miss and later Sets do nothing. It may be called more than once.
func (c *Cache) Close() {
	c.closing.Do(func() {
		for i := range c.shards {
			c.shards[i].mu.Lock()
			c.shards[i].closed = true
			c.shards[i].mu.Unlock()
		}
		close(c.quit)
		<-c.done
		c.store.Close()
	})
	<-c.done
}
