package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// entropy hands out bits of crypto/rand. It reads them 1 KiB at a time,
// because a question needs few and a system call for each would cost more
// than sending the question.
type entropy struct {
	mu   sync.Mutex
	buf  [1024]byte
	used int // octets of buf handed out; len(buf) when empty
}

func newEntropy() *entropy {
	e := &entropy{}
	e.used = len(e.buf)
	return e
}

// uint64 returns 64 fresh random bits.
func (e *entropy) uint64() uint64 {
	e.mu.Lock()
	if e.used == len(e.buf) {
		rand.Read(e.buf[:]) // never fails: it ends the program instead
		e.used = 0
	}
	next := e.buf[e.used : e.used+8]
	v := binary.LittleEndian.Uint64(next)
	binary.LittleEndian.PutUint64(next, 0)
	e.used += 8
	e.mu.Unlock()
	return v
}

// intn returns a number below n, which is small: the bias is below n/2^32.
func (e *entropy) intn(n int) int {
	return int(e.uint64() >> 32 * uint64(n) >> 32)
}
