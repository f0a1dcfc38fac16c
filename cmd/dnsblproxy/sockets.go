package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/coreos/go-systemd/v22/activation"
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
// configuration.
func (s *sockets) addrs() []netip.AddrPort {
	var out []netip.AddrPort
	for _, u := range s.udp {
		out = append(out, u.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	for _, t := range s.tcp {
		out = append(out, t.Addr().(*net.TCPAddr).AddrPort())
	}
	return out
}
