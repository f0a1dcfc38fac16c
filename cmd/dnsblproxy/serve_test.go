package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dnsblproxy/overrides"
)

// TestServe_taken starts at an address that another program has, as systemd does
// every two seconds: nobody is to be asked for what the rules need, each time.
func TestServe_taken(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var asked atomic.Int64
	servers := fakeList(t, func(question []byte) []byte {
		asked.Add(1)
		return unlisted(question)
	})
	config := filepath.Join(t.TempDir(), "config.toml")
	writeFile(t, config, fmt.Sprintf("listen = [%q]\n[admin]\nlisten = \"\"\n[resolver]\nservers = [%q]\n"+
		"[zone.\"local.example\"]\nsource = \"deny\"\n[allow.sender]\nspf = [\"sender.example\"]\n", taken.Addr(), servers))
	for range 5 {
		if status := run([]string{"serve", "--config", config}, nil, io.Discard, io.Discard); status != exitFailed {
			t.Fatalf("status %d, want %d", status, exitFailed)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d questions for five starts that fail", n)
	}
}

// TestWaitForSources: what the start has waited for large files it does not wait
// for SPF records and feeds once more.
func TestWaitForSources(t *testing.T) {
	for loading, want := range map[time.Duration]time.Duration{
		0: firstLoad, firstLoad - time.Second: time.Second, time.Minute: 100 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			rules, err := overrides.Open(nil, overrides.Options{})
			if err != nil {
				t.Fatal(err)
			}
			d := &proxy{log: slog.New(slog.DiscardHandler), rules: rules, started: time.Now()} // whose rules do not run, and are never ready
			time.Sleep(loading)
			start := time.Now()
			d.waitForSources(t.Context(), firstLoad)
			if took := time.Since(start); took != want {
				t.Errorf("%v after the start: waited %v, want %v", loading, took, want)
			}
		})
	}
}

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
