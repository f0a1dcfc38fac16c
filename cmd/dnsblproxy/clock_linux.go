package main

import (
	"golang.org/x/sys/unix"

	"dnsblproxy/cmd/dnsblproxy/internal/doctor"
)

// kernelClock asks whether somebody keeps the kernel's clock right
// (adjtimex(2)).
func kernelClock() doctor.Clock {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return doctor.Clock{Known: err == nil, Synced: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0}
}
