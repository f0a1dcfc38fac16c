package upstream

import (
	"errors"
	"net"
	"os"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

// socket is a connected UDP socket and the questions that are out on it.
type socket struct {
	table
	srv  *server
	conn net.Conn

	until time.Time // when its port has been used long enough
	uses  int       // questions sent; guarded by srv.mu
}

// strangerAge is the age of a socket to a server that does not answer, or has not
// yet: a list may name any number of them.
const strangerAge = 2 * time.Second

// openSocket opens a socket and starts its reader. srv.mu is held.
func openSocket(srv *server, now time.Time) (*socket, error) {
	if !srv.pool.gate.enter() {
		return nil, ErrClosed
	}
	conn, err := srv.pool.network.DialUDP(srv.addr)
	if err != nil {
		srv.pool.gate.leave()
		return nil, err
	}
	age := srv.pool.socketAge
	if !srv.known() {
		age = min(age, strangerAge)
	}
	k := &socket{srv: srv, conn: conn, until: now.Add(age), uses: 1}
	k.close = func() {
		k.srv.leaveSocket(k, true)
		// Close waits for the reader, which may be the caller, or wait for
		// a lock that the caller holds.
		k.srv.pool.gate.bring()
		go func() {
			defer k.srv.pool.gate.leave()
			k.conn.Close()
		}()
	}
	_ = conn.SetReadDeadline(k.until) // a failure leaves an idle socket open, no more
	go k.read()
	return k, nil
}

// read hands datagrams to the flights until the socket closes. An error, an
// ICMP refusal above all, fails all that is out on the socket at once, and
// the next question gets a new one.
func (k *socket) read() {
	defer k.srv.pool.gate.leave()
	buf := make([]byte, wire.MaxDatagram+1)
	err := each(k.conn, buf, k.receive)
	for errors.Is(err, os.ErrDeadlineExceeded) {
		k.giveUp() // its time is over; who still waits does so without a deadline
		_ = k.conn.SetReadDeadline(time.Time{})
		err = each(k.conn, buf, k.receive)
	}
	for _, e := range k.shut() {
		e.f.lost(&k.table, e.id)
	}
}

// receive handles one datagram. It returns true while another answer is due,
// which may have come with this one.
func (k *socket) receive(pkt []byte) (more bool) {
	k.deliver(pkt)
	return !k.empty()
}

func (k *socket) deliver(pkt []byte) {
	if len(pkt) > wire.MaxDatagram {
		wire.SetTruncated(pkt) // its rest was not read
	}
	if len(pkt) >= wire.HeaderLen {
		id := uint16(pkt[0])<<8 | uint16(pkt[1])
		if f := k.get(id); f != nil {
			f.receive(&k.table, id, pkt)
			return
		}
	}
	k.srv.pool.Stats.Mismatched.Add(1)
	k.accuse(pkt)
}

// accuse finds the questions on this socket that a stray packet pretends to
// answer, so that each can count its forgeries. It looks at no more than 64:
// a flood of packets must not buy more work than that.
func (k *socket) accuse(pkt []byte) {
	var store [64]entry
	for _, e := range k.pick(store[:0], k.srv.pool.rnd) {
		e.f.suspect(&k.table, e.id, pkt)
	}
}

// giveUp lets the slot's next question open a new socket, and closes this one
// with the last question that is out on it.
func (k *socket) giveUp() {
	k.srv.leaveSocket(k, false)
	k.retire()
}
