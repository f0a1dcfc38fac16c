package main

import (
	"testing"

	"dnsblproxy/overrides"
)

// What took too long to load is no less missing than what failed.
func TestTrouble(t *testing.T) {
	for _, tt := range []struct {
		status overrides.SourceStatus
		want   string
	}{
		{overrides.SourceStatus{Enabled: true, Tried: true}, ""},
		{overrides.SourceStatus{Enabled: true, Tried: true, LastError: "temperror"}, "temperror"},
		{overrides.SourceStatus{Enabled: true}, "it was not loaded within 10s"},
		{overrides.SourceStatus{}, ""},
	} {
		if got := trouble(tt.status); got != tt.want {
			t.Errorf("trouble(%+v) = %q, want %q", tt.status, got, tt.want)
		}
	}
}
