package main

import (
	"context"
	"runtime/debug"
	"testing"
)

func TestGCPercent(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 1600}, // before the first collection
		{4 << 20, 400},
		{64 << 20, 25},
		{128 << 20, 12},
		{192 << 20, 8},
		{1 << 30, 8},
	} {
		if got := gcPercent(tt.live); got != tt.want {
			t.Errorf("gcPercent(%d MiB) = %d, want %d", tt.live>>20, got, tt.want)
		}
	}
}

func TestPaceCollector(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv("GOGC", "77")
	paceCollector(done)
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("with GOGC=77 the pace is %d", got)
	}
	t.Setenv("GOGC", "")
	paceCollector(done)
	if got := debug.SetGCPercent(77); got == 77 {
		t.Error("without GOGC the pace stays Go's own")
	}
}
