package upstream

import "sync"

const (
	shareWindow  = 100 // answers that make one figure
	shareHistory = 5   // figures before there is a past to compare with
)

// share follows which part of the answers are listings. A list that begins to
// list the world answers "listed" far more often than ever before.
type share struct {
	mu      sync.Mutex
	answers int // of the current window
	listed  int
	past    float64 // mean of earlier windows, recent ones counting more
	windows int
}

// add counts one answer. It returns true when the window that it ends is far
// beyond the past: more than half listed, and by 30 points more than usual.
// Should that be the new habit, it becomes the past by and by.
func (s *share) add(listed bool) (jump bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
	if listed {
		s.listed++
	}
	if s.answers < shareWindow {
		return false
	}
	now := float64(s.listed) / shareWindow
	s.answers, s.listed = 0, 0
	jump = s.windows >= shareHistory && now > 0.5 && now > s.past+0.3
	s.windows++
	weight := max(1/float64(s.windows), 0.05)
	s.past += (now - s.past) * weight
	return jump
}
