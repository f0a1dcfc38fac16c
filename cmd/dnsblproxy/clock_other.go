//go:build !linux

package main

import "dnsblproxy/cmd/dnsblproxy/internal/doctor"

// kernelClock knows nothing here.
func kernelClock() doctor.Clock { return doctor.Clock{} }
