package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// Due is one question with the time at which it is asked.
type Due struct {
	At   time.Duration // from the start
	Zone Zone
	Addr uint32
	Type uint16
}

// Play asks questions when they are due, whatever becomes of the answers, and
// returns how many had none that is NOERROR or NXDOMAIN. It sleeps in between
// and measures no latencies; [Open] does that.
func Play(ctx context.Context, server netip.AddrPort, all []Due) (lost int, err error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return 0, fmt.Errorf("asking: %w", err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadBuffer(1 << 20) // the default will do if the system has less
	answered := make(chan int, 1)
	go func() { answered <- answers(c) }()
	slices.SortStableFunc(all, func(a, b Due) int { return cmp.Compare(a.At, b.At) })
	began := time.Now()
	var buf []byte
	for i, d := range all {
		if wait := time.Until(began.Add(d.At)); wait > 0 {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(wait):
			}
		}
		buf = d.Zone.Append(buf[:0], uint16(i), d.Addr, d.Type)
		if _, err := c.Write(buf); err != nil {
			return 0, fmt.Errorf("asking: %w", err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second)) // ends the reader
	return len(all) - <-answered, nil
}

// answers counts good ones until the deadline for reading.
func answers(c *net.UDPConn) (n int) {
	buf := make([]byte, 1500)
	for {
		got, err := c.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return n
		case err == nil && got >= 12 && (buf[3]&0xf == 0 || buf[3]&0xf == 3):
			n++
		}
	}
}
