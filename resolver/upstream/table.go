package upstream

import "sync"

// table holds the questions that are out on one socket or connection, by ID,
// as chains of flights: a map of so few costs many times as much. A flight's
// lock may be held when a table's is taken, never the other way.
type table struct {
	mu      sync.Mutex
	chains  [256]*flight // by the low octet of the ID
	out     int          // flights in all chains
	retired bool         // takes no more questions; closed with the last one
	close   func()       // closes the socket; called once
	closed  bool
}

// maxInFlight bounds the questions on one socket, so that a random ID is
// found free within few draws and remains hard to guess.
const maxInFlight = 1 << 14

// add enters f under a random free ID, made of bits or more of them. It is
// false when the table is full or retired.
func (t *table) add(f *flight, bits uint32, rnd *entropy) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired || t.out >= maxInFlight {
		return false
	}
	for t.find(uint16(bits)) != nil {
		if bits >>= 16; bits == 0 {
			bits = uint32(rnd.uint64())
		}
	}
	f.id = uint16(bits)
	head := &t.chains[byte(f.id)]
	f.chain, *head = *head, f
	t.out++
	return true
}

// find is get with mu held.
func (t *table) find(id uint16) *flight {
	f := t.chains[byte(id)]
	for f != nil && f.id != id {
		f = f.chain
	}
	return f
}

func (t *table) get(id uint16) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(id)
}

// drop forgets f's question, unless shut did, and closes a retired socket with
// its last one.
func (t *table) drop(f *flight) {
	t.mu.Lock()
	at := &t.chains[byte(f.id)]
	for *at != nil && *at != f {
		at = &(*at).chain
	}
	if *at == f {
		*at, f.chain = f.chain, nil
		t.out--
	}
	last := t.mayClose()
	t.mu.Unlock()
	if last {
		t.close()
	}
}

// retire stops the table from taking questions.
func (t *table) retire() {
	t.mu.Lock()
	t.retired = true
	last := t.mayClose()
	t.mu.Unlock()
	if last {
		t.close()
	}
}

// mayClose reports once that the socket is retired and empty. mu is held.
func (t *table) mayClose() bool {
	if !t.retired || t.closed || t.out > 0 {
		return false
	}
	t.closed = true
	return true
}

// entry is one question that is out.
type entry struct {
	id uint16
	f  *flight
}

// shut retires the table, closes its socket and returns what was out.
func (t *table) shut() []entry {
	t.mu.Lock()
	t.retired = true
	all := t.some(make([]entry, 0, t.out), 0)
	for _, e := range all {
		e.f.chain = nil
	}
	clear(t.chains[:])
	t.out = 0
	last := t.mayClose()
	t.mu.Unlock()
	if last {
		t.close()
	}
	return all
}

// some appends up to cap(dst) of the questions that are out, going round from
// one chain. mu is held.
func (t *table) some(dst []entry, from uint8) []entry {
	for i := range len(t.chains) {
		for f := t.chains[from+uint8(i)]; f != nil && len(dst) < cap(dst); f = f.chain {
			dst = append(dst, entry{f.id, f})
		}
	}
	return dst
}

// pick appends up to cap(dst) of the questions that are out, a random choice.
func (t *table) pick(dst []entry, rnd *entropy) []entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.some(dst, uint8(rnd.intn(len(t.chains))))
}

func (t *table) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out == 0
}
