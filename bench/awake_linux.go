package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"dnsblproxy/bench/internal/proc"
)

// awakeCommand has this program keep a processor from sleeping.
const awakeCommand = "keep-awake"

// keepAwake uses a processor whenever nobody else wants it. A processor that
// has nothing to do is halted, and in a virtual machine its return takes some
// ten microseconds that are charged to whoever is woken: servers that answer in
// less would be compared by how often they sleep.
func keepAwake(string) error {
	runtime.LockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		return fmt.Errorf("giving way to everybody: %w", err)
	}
	for parent := os.Getppid(); os.Getppid() == parent; {
		for range 1 << 20 {
			runtime.KeepAlive(parent)
		}
	}
	return nil
}

// awake starts one such process on each processor, until the returned function
// is called.
func awake(processors ...int) (stop func(), err error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	var started []*exec.Cmd
	stop = func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()         // how is no matter
		}
	}
	for _, p := range processors {
		cmd := exec.Command(path, awakeCommand, strconv.Itoa(p))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := proc.Start(cmd, p); err != nil {
			stop()
			return nil, fmt.Errorf("keeping a processor awake: %w", err)
		}
		started = append(started, cmd)
	}
	return stop, nil
}
