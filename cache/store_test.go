package cache

import "testing"

// What was given back is not given out again, even if it was the last that was asked
// for, and answers that are kept for different times are different.
func TestAnswers_last(t *testing.T) {
	var a answers
	a.init(1)
	a.release(a.hold("data", 1))
	first := a.hold("data", 1)
	if len(a.byKey) != 1 || a.bytes.Load() != int64(len("data")+sharedBytes) {
		t.Errorf("%d answers take %d bytes, want one", len(a.byKey), a.bytes.Load())
	}
	if a.hold("data", 2) == first || a.hold("data", 1) != first {
		t.Error("the time of keeping is not looked at")
	}
}
