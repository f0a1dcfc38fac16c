//go:build !linux

package e2e

import "syscall"

// processAttributes puts a daemon into a process group of its own.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills what a stopped daemon left behind.
func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
