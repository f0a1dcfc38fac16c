package resolver

import (
	"net"
	"net/netip"
)

// Tap sees messages as they arrive and leave, in wire form, from many
// goroutines at once. It must not block, and it copies what it keeps. An
// answer is shown just before it is sent.
type Tap interface {
	Query(msg []byte, client, server netip.AddrPort, tcp bool)
	Answer(msg []byte, client, server netip.AddrPort, tcp bool)
}

// tapQuery and tapAnswer show one UDP message to the tap, if there is one.
func (u *udpSocket) tapQuery(msg []byte, client netip.AddrPort) {
	if u.s.tap != nil {
		u.s.tap.Query(msg, client, portOf(u.conn.LocalAddr()), false)
	}
}

func (u *udpSocket) tapAnswer(msg []byte, client netip.AddrPort) {
	if u.s.tap != nil {
		u.s.tap.Answer(msg, client, portOf(u.conn.LocalAddr()), false)
	}
}

// tapQuery and tapAnswer do the same for a TCP connection.
func (c *tcpConn) tapQuery(msg []byte) {
	if c.s.tap != nil {
		c.s.tap.Query(msg, portOf(c.conn.RemoteAddr()), portOf(c.conn.LocalAddr()), true)
	}
}

func (c *tcpConn) tapAnswer(msg []byte) {
	if c.s.tap != nil {
		c.s.tap.Answer(msg, portOf(c.conn.RemoteAddr()), portOf(c.conn.LocalAddr()), true)
	}
}

// portOf is an address of the net package as a value, IPv4 unmapped.
func portOf(a net.Addr) netip.AddrPort {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
