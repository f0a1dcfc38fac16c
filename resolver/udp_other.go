//go:build !linux

package resolver

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
)

// maxQuery is the room for a question, in octets.
const maxQuery = 4096

// udpSocket reads questions from one socket and writes their answers, one
// packet a system call.
type udpSocket struct {
	s      *Server
	conn   *net.UDPConn
	tapped tapped
	shard  int
}

// DefaultWorkers is one: no second socket could bind the same address.
func DefaultWorkers() int { return 1 }

// reusePort leaves the socket as it is.
func reusePort(_, _ string, _ syscall.RawConn) error { return nil }

// newUDPSocket refuses wildcard addresses, since which address was asked is
// not known here.
func newUDPSocket(s *Server, c *net.UDPConn, shard int) (*udpSocket, error) {
	if c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().IsUnspecified() {
		return nil, errors.New("listening on a wildcard address needs Linux; name each address")
	}
	return &udpSocket{s: s, conn: c, tapped: tapped{s.tap, portOf(c.LocalAddr()), false}, shard: shard % (s.r.stats.shards - 1)}, nil
}

func (u *udpSocket) serve() error {
	buf, sc := make([]byte, maxQuery), NewScratch(u.shard)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.ECONNREFUSED):
			continue
		case err != nil:
			return err
		}
		u.answer(sc, slices.Clip(buf[:n]), from)
	}
}

func (u *udpSocket) answer(sc *Scratch, pkt []byte, from netip.AddrPort) {
	u.tapped.query(pkt, from)
	client := from.Addr().Unmap()
	out, done := u.s.r.Respond(sc, pkt, client, false)
	if done {
		u.send(out, from)
		return
	}
	u.s.pending.Add(1)
	u.s.r.Await(sc, pkt, client, false, func(out []byte) {
		defer u.s.pending.Done()
		u.send(out, from)
	})
}

func (u *udpSocket) send(out []byte, to netip.AddrPort) {
	if len(out) > 0 {
		u.tapped.answer(out, to)
		_, _ = u.conn.WriteToUDPAddrPort(out, to) // lost like any UDP packet
	}
}
