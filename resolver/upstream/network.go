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
