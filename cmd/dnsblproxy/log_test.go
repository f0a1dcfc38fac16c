package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// pausedLog takes lines while it is not paused.
type pausedLog struct {
	paused chan struct{}
	text   strings.Builder
}

func (p *pausedLog) Write(line []byte) (int, error) {
	<-p.paused
	return p.text.Write(line)
}

// TestStartLog holds that a log which is not read holds up nobody, that all
// which found room is written once it is read again, and how much did not.
func TestStartLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &pausedLog{paused: make(chan struct{})}
		log, end := startLog(config.Defaults(), to)
		for range logRoom + 3 {
			log.Info("line")
			synctest.Wait()
		}
		close(to.paused)
		synctest.Wait()
		log.Info("after")
		end()
		// One line left the queue before the log was paused.
		if got := strings.Count(to.text.String(), "msg=line\n"); got != logRoom+1 {
			t.Errorf("%d lines were written, want %d", got, logRoom+1)
		}
		lost := strings.Index(to.text.String(), `msg="log lines lost, for the log was not read" lines=2`)
		if after := strings.Index(to.text.String(), "msg=after"); lost < 0 || after < lost {
			t.Errorf("what was lost is told at %d, what came after at %d", lost, after)
		}
	})
}

// TestStartLog_stuck ends a server whose log is never read again.
func TestStartLog_stuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &pausedLog{paused: make(chan struct{})}
		log, end := startLog(config.Defaults(), to)
		log.Info("line")
		end()
		close(to.paused) // for the bubble, whose goroutines have to end
	})
}
