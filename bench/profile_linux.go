package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// profile is measure with perf(1) watching, user space and kernel: the kernel
// is the larger part of an answer. Where the program's time goes is written to
// WINDOW.txt. The figure itself is no use with somebody looking.
func (b *bench) profile(ctx context.Context, c *contender, w window) (Figure, error) {
	if err := os.MkdirAll(b.o.perf, 0o755); err != nil {
		return Figure{}, fmt.Errorf("making the folder of the profiles: %w", err)
	}
	data := filepath.Join(b.o.perf, w.name+".data")
	record := exec.Command("perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-g", "-o", data, "-p", strconv.Itoa(c.PID()))
	if err := record.Start(); err != nil {
		return Figure{}, fmt.Errorf("profiling: %w", err)
	}
	time.Sleep(time.Second) // until it watches
	f, err := b.measure(ctx, c, w)
	_ = record.Process.Signal(syscall.SIGINT)
	_ = record.Wait() // ends with the signal's status
	if err != nil {
		return f, err
	}
	// The program's symbols are only there while it is.
	text, err := exec.Command("perf", "report", "-i", data, "--no-children", "-g", "none", "--stdio", "--percent-limit", "0.5").Output()
	if err != nil {
		return f, fmt.Errorf("reading a profile: %w", err)
	}
	return f, os.WriteFile(filepath.Join(b.o.perf, w.name+".txt"), text, 0o644)
}
