package main

import (
	"fmt"
	"net"
)

// bareCommand has this program be the bare loop.
const bareCommand = "serve-bare"

// serveBare answers NXDOMAIN to whatever comes to addr, without looking at it:
// what a Go program that reads and writes one packet with one system call each
// costs at least. It is the unit of the comparison.
func serveBare(addr string) error {
	c, err := net.ListenPacket("udp4", addr)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	conn := c.(*net.UDPConn)
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if n < 12 {
			continue
		}
		buf[2] |= 0x80
		buf[3] = 0x83
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
}
