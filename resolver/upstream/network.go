package upstream

import (
	"context"
	"net"
	"net/netip"
)

// Network opens connections. Tests put a fake in its place; its connections
// must let Close end a pending Read.
type Network interface {
	// DialUDP returns a socket with a port of its own, connected to the
	// server, so that the kernel drops what others send and reports ICMP
	// errors. It does not block. One Read is one datagram.
	DialUDP(server netip.AddrPort) (net.Conn, error)

	// DialTCP returns a stream to the server.
	DialTCP(ctx context.Context, server netip.AddrPort) (net.Conn, error)
}

// eacher is a connection that takes fewer system calls to hand datagrams over
// than to be asked for them by Read.
type eacher interface {
	// Each hands f the datagrams that come, until an error. After true it
	// looks for another one at once, after false when the kernel tells of
	// one: those that came together are told of once.
	Each(buf []byte, f func(pkt []byte) (more bool)) error
}

// each is Each for any connection.
func each(c net.Conn, buf []byte, f func(pkt []byte) (more bool)) error {
	if e, ok := c.(eacher); ok {
		return e.Each(buf, f)
	}
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		f(buf[:n])
	}
}

// systemNetwork is the machine's own.
type systemNetwork struct{}

func (systemNetwork) DialUDP(server netip.AddrPort) (net.Conn, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	return promptly(conn)
}

func (systemNetwork) DialTCP(ctx context.Context, server netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", server.String())
}
