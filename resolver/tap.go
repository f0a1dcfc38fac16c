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

// tapped shows the messages of one socket or connection to the tap, if there is
// one.
type tapped struct {
	tap    Tap
	server netip.AddrPort
	tcp    bool
}

func (t *tapped) query(msg []byte, client netip.AddrPort) {
	if t.tap != nil {
		t.tap.Query(msg, client, t.server, t.tcp)
	}
}

func (t *tapped) answer(msg []byte, client netip.AddrPort) {
	if t.tap != nil {
		t.tap.Answer(msg, client, t.server, t.tcp)
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
