package load

import "math/rand/v2"

// schedule is when the questions of an open loop are due: at random times with
// a mean rate, as independent clients ask, and the same ones for a seed. It
// does not look at the clock, so that nothing that happens moves it.
type schedule struct {
	rnd  *rand.Rand
	mean float64 // nanoseconds between two
	next int64   // nanoseconds since the start
	at   float64
}

func newSchedule(perSecond float64, seed uint64) *schedule {
	s := &schedule{rnd: rand.New(rand.NewPCG(seed, 0)), mean: 1e9 / perSecond}
	s.take()
	return s
}

// take returns when the next question is due and moves on.
func (s *schedule) take() int64 {
	due := s.next
	s.at += s.rnd.ExpFloat64() * s.mean
	s.next = max(int64(s.at), 1)
	return due
}
