package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeepServing serves once it can, and does not wait for that at the end.
func TestKeepServing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fails  int           // how often
		end    time.Duration // of the server
		served bool
	}{
		{"at once", 0, 0, true},
		{"at the third attempt", 2, 2 * adminPause, true},
		{"not before the end", 9, 2*adminPause + 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithTimeout(t.Context(), tt.end+1)
				defer end()
				start, tries, served := time.Now(), 0, false
				keepServing(ctx, slog.New(slog.DiscardHandler), func() error {
					if tries++; tries <= tt.fails {
						return errors.New("taken")
					}
					served = true
					<-ctx.Done()
					return nil
				})
				if took := time.Since(start); served != tt.served || took != tt.end+1 {
					t.Errorf("served: %t, ended after %v; want %t, %v", served, took, tt.served, tt.end+1)
				}
			})
		})
	}
}
