package main

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// sockets are those that systemd has bound and handed over.
type sockets struct {
	udp []*net.UDPConn
	tcp []*net.TCPListener
}

// inherited takes them over. There are none without socket activation.
func inherited() (sockets, error) {
	var s sockets
	for _, f := range activation.Files(true) {
		if l, err := net.FileListener(f); err == nil {
			if t, ok := l.(*net.TCPListener); ok {
				s.tcp = append(s.tcp, t)
			}
		} else if p, err := net.FilePacketConn(f); err == nil {
			if u, ok := p.(*net.UDPConn); ok {
				s.udp = append(s.udp, u)
			}
		}
		if err := f.Close(); err != nil {
			return s, fmt.Errorf("taking over a socket: %w", err)
		}
	}
	return s, nil
}

// addrs are the addresses behind the sockets, for the checks of the
// configuration. A socket for all of IPv6 is one for all of IPv4 as well, unless
// the unit has BindIPv6Only=ipv6-only.
func (s *sockets) addrs() []netip.AddrPort {
	var out []netip.AddrPort
	add := func(a netip.AddrPort, c syscall.Conn) {
		out = append(out, a)
		if a.Addr() == netip.IPv6Unspecified() && !ipv6Only(c) {
			out = append(out, netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port()))
		}
	}
	for _, u := range s.udp {
		add(u.LocalAddr().(*net.UDPAddr).AddrPort(), u)
	}
	for _, t := range s.tcp {
		add(t.Addr().(*net.TCPAddr).AddrPort(), t)
	}
	return out
}

func ipv6Only(c syscall.Conn) (only bool) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // fails when the socket is closed
			v, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
			only = err != nil || v == 1
		})
	}
	return only
}
