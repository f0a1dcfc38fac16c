package upstream

import "sync"

// table holds the questions that are out on one socket or connection, by ID.
// A flight's lock may be held when a table's is taken, never the other way.
type table struct {
	mu      sync.Mutex
	flights map[uint16]*flight
	retired bool   // takes no more questions; closed with the last one
	close   func() // closes the socket; called once
	closed  bool
}

// maxInFlight bounds the questions on one socket, so that a random ID is
// found free within few draws and remains hard to guess.
const maxInFlight = 1 << 14

// add enters f under a random free ID. ok is false when the table is full or
// retired.
func (t *table) add(f *flight, rnd *entropy) (id uint16, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired || len(t.flights) >= maxInFlight {
		return 0, false
	}
	for {
		bits := rnd.uint64()
		for range 4 {
			id = uint16(bits)
			if _, taken := t.flights[id]; !taken {
				t.flights[id] = f
				return id, true
			}
			bits >>= 16
		}
	}
}

func (t *table) get(id uint16) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flights[id]
}

// drop forgets f's question and closes a retired socket with its last one.
func (t *table) drop(id uint16, f *flight) {
	t.mu.Lock()
	if t.flights[id] == f {
		delete(t.flights, id)
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
	if !t.retired || t.closed || len(t.flights) > 0 {
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
	all := make([]entry, 0, len(t.flights))
	for id, f := range t.flights {
		all = append(all, entry{id, f})
	}
	clear(t.flights)
	last := t.mayClose()
	t.mu.Unlock()
	if last {
		t.close()
	}
	return all
}

// some appends up to cap(dst) of the questions that are out, a random choice.
func (t *table) some(dst []entry) []entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, f := range t.flights {
		if len(dst) == cap(dst) {
			break
		}
		dst = append(dst, entry{id, f})
	}
	return dst
}

func (t *table) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flights) == 0
}
