package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describe says where and on what the benchmark runs.
func describe(o *options) (*Machine, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("asking for the kernel's version: %w", err)
	}
	m := &Machine{
		Date: time.Now().UTC().Truncate(time.Second), Commit: commit(),
		Processor: "unknown", Processors: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: unix.ByteSliceToString(u.Release[:]),
		Rounds: o.rounds, Window: o.window.String(), Rate: o.rate, Names: o.names,
	}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil, fmt.Errorf("asking for the processor: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m, nil
}

// commit is the one that is checked out, with a + if files differ from it.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
