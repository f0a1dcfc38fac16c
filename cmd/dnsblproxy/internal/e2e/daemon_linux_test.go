package e2e

import "syscall"

// processAttributes puts a daemon into a process group of its own, and has
// the kernel kill it when the test dies without stopping it (a timeout, ^C).
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup kills what a stopped daemon left behind.
func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
