package upstream

import (
	crypto "crypto/rand"
	"math/rand/v2"
	"sync"
)

// entropy hands out random bits that nobody can foretell. A system call for those
// of each question would cost more than sending the question.
type entropy struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func newEntropy() *entropy {
	var seed [32]byte
	crypto.Read(seed[:]) // never fails: it ends the program instead
	return &entropy{src: rand.NewChaCha8(seed)}
}

// uint64 returns 64 fresh random bits.
func (e *entropy) uint64() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.src.Uint64()
}

// intn returns a number below n, which is small: the bias is below n/2^32.
func (e *entropy) intn(n int) int {
	return int(e.uint64() >> 32 * uint64(n) >> 32)
}
