package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the time that the threads of a process have had a processor. Threads
// that ended are not in it; servers do not end theirs.
func CPU(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d is gone, or the kernel keeps no schedstat", pid)
	}
	var sum time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the time of a thread: %w", err)
		}
		d, err := parseSchedstat(b)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// Spent is the time that a process has a processor while f runs.
func Spent(pid int, f func() error) (time.Duration, error) {
	before, err := CPU(pid)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := CPU(pid)
	return after - before, err
}

// parseSchedstat reads the first figure of schedstat: nanoseconds on a
// processor.
func parseSchedstat(b []byte) (time.Duration, error) {
	first, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte(" "))
	ns, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading schedstat %q: %w", b, err)
	}
	return time.Duration(ns), nil
}

// RSS is the resident memory of a process, in bytes.
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a process: %w", err)
	}
	return parseStatus(b)
}

func parseStatus(b []byte) (int64, error) {
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading VmRSS: %w", err)
		}
		return kb << 10, nil
	}
	return 0, errors.New("reading status: no VmRSS")
}

// Start starts cmd on these processors alone, without any on those of the
// caller. It dies with its parent.
func Start(cmd *exec.Cmd, processors ...int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, these unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("reading the processors of this thread: %w", err)
	}
	these = before
	if len(processors) > 0 {
		these.Zero()
	}
	for _, p := range processors {
		these.Set(p)
	}
	if err := unix.SchedSetaffinity(0, &these); err != nil {
		return fmt.Errorf("binding to processors %v: %w", processors, err)
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &before); err == nil && back != nil {
		err = fmt.Errorf("unbinding a thread: %w", back)
	}
	return err
}

// Processors are those that a thread may run on; 0 is the caller's.
func Processors(thread int) ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(thread, &set); err != nil {
		return nil, fmt.Errorf("reading the processors: %w", err)
	}
	var out []int
	for i := range 1024 {
		if set.IsSet(i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// Bind restricts all threads of this process, present and to come, to one
// processor. It must be called before others than the caller's are busy.
func Bind(processor int) error {
	var one unix.CPUSet
	one.Set(processor)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing the threads: %w", err)
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("reading a thread's number: %w", err)
		}
		if err := unix.SchedSetaffinity(tid, &one); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("binding to processor %d: %w", processor, err)
		}
	}
	return nil
}
