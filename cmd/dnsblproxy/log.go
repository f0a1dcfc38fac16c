package main

import (
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// logRoom is how many lines wait for a log that is not read: what the
// resolver writes in ten seconds at most.
const logRoom = 1000

// logEnd is how long the end of the server waits for them.
const logEnd = time.Second

// logQueue stands before a log that may stop reading: a journal that hangs
// with its disk, a pager, a paused terminal. Nobody who answers questions waits
// for it. What does not fit is lost, and counted.
type logQueue struct {
	to    io.Writer
	lines chan []byte
	lost  atomic.Uint64
	quit  chan struct{} // closed by end
	done  chan struct{} // closed when run is done
}

// startLog makes the log of the running server, until end is called.
func startLog(c *config.Config, to io.Writer) (log *slog.Logger, end func()) {
	q := &logQueue{to: to, lines: make(chan []byte, logRoom), quit: make(chan struct{}), done: make(chan struct{})}
	go q.run(newLog(c, to))
	return newLog(c, q), q.end
}

// newLog writes to w, in the calling goroutine.
func newLog(c *config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // config has checked it
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// Write takes one line.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- slices.Clone(line):
	default:
		q.lost.Add(1)
	}
	return len(line), nil
}

func (q *logQueue) run(log *slog.Logger) {
	defer close(q.done)
	for {
		select {
		case line := <-q.lines:
			q.pass(line, log)
		case <-q.quit:
			for len(q.lines) > 0 {
				q.pass(<-q.lines, log)
			}
			return
		}
	}
}

// pass writes one line, and after the last that waited what was lost.
func (q *logQueue) pass(line []byte, log *slog.Logger) {
	_, _ = q.to.Write(line) // there is no other place to say that it fails
	if len(q.lines) > 0 {
		return
	}
	if n := q.lost.Swap(0); n > 0 {
		log.Warn("log lines lost, for the log was not read", slog.Uint64("lines", n))
	}
}

// end waits for what was written, but not for ever.
func (q *logQueue) end() {
	close(q.quit)
	select {
	case <-q.done:
	case <-time.After(logEnd):
	}
}
