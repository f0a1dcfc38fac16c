package resolver

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

const (
	// tcpIdle ends a connection on which nothing was asked. RFC 7766,
	// section 6.2.3 leaves the length to the server.
	tcpIdle = 10 * time.Second

	// tcpClients is how many connections there may be at one time of clients
	// that may ask. No one may hold more than it leaves to the others.
	tcpClients = 1000

	// tcpStranger is the same for a client that may not ask, which is told so
	// once, and tcpStrangers how many of them there may be at one time: they
	// take no place of those who may.
	tcpStranger  = 2 * time.Second
	tcpStrangers = 64

	// tcpMessage is how long one message may take to arrive once its length
	// is there, so that a slow writer cannot hold a place.
	tcpMessage = 5 * time.Second

	// tcpWrite is how long a client may leave an answer in our buffer.
	tcpWrite = 5 * time.Second

	// tcpInFlight bounds the questions of one connection that wait, and so
	// the answers that may be queued for a client that does not read.
	tcpInFlight = 128

	// tcpQueue is what may wait for a client that does not read, in octets, and
	// tcpQueues what may for all before those who have more are cut off: relayed
	// answers can be large.
	tcpQueue  = 256 << 10
	tcpQueues = 64 << 20
)

// tcpConn is one connection. Questions on it are answered in any order (RFC
// 7766, section 6.2.1.1): what is cached at once, the rest as it comes.
type tcpConn struct {
	s        *Server
	conn     net.Conn
	tapped   tapped
	from     netip.AddrPort
	stranger bool          // it may not ask, by the settings when it came
	idle     time.Duration // until the next question
	share    *shares       // of the connections, which it has a place among
	places   chan struct{} // one for each question that waits

	// out holds answers for the writer. It has room for every place, so that
	// whoever has an answer never waits for this client.
	out    chan []byte
	queued atomic.Int64 // octets in out

	// sent tells the reader that there are fewer of them.
	sent chan struct{}
}

func newTCPConn(s *Server, conn net.Conn, from netip.AddrPort) *tcpConn {
	c := &tcpConn{
		s: s, conn: conn, tapped: tapped{s.tap, portOf(conn.LocalAddr()), true}, from: from, idle: tcpIdle, share: s.max,
		places: make(chan struct{}, tcpInFlight), out: make(chan []byte, tcpInFlight),
		sent: make(chan struct{}, 1),
	}
	if !s.r.serves(from.Addr()) {
		c.stranger, c.idle, c.share = true, tcpStranger, s.strangers
	}
	return c
}

// accept serves the connections of one listener until it is closed.
func (s *Server) accept(l net.Listener) {
	var said time.Time
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: others must end first.
			if now := time.Now(); now.Sub(said) >= time.Minute {
				s.log.Warn("accepting a connection", slog.Any("error", err))
				said = now
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		c := newTCPConn(s, conn, portOf(conn.RemoteAddr()))
		if !c.share.take(c.from.Addr()) {
			_ = conn.Close() // over the bound; the client tries again
			continue
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wait.Go(func() {
			c.serve()
			c.share.leave(c.from.Addr())
		})
	}
}

// serve reads questions until the client has no more, then waits for the
// answers that are due: a client may close its side first.
func (c *tcpConn) serve() {
	var writer sync.WaitGroup
	writer.Go(c.write)
	defer func() {
		for range tcpInFlight {
			c.places <- struct{}{}
		}
		close(c.out)
		writer.Wait()
		c.s.mu.Lock()
		delete(c.s.conns, c)
		c.s.mu.Unlock()
		_ = c.conn.Close() // nothing left to lose
	}()
	sc := NewScratch(c.s.r.stats.shards - 1)
	pkt := make([]byte, 0, 512)
	for {
		var ok bool
		if pkt, ok = c.read(pkt); !ok {
			return
		}
		c.places <- struct{}{}
		c.letRead()
		c.s.pending.Add(1)
		c.tapped.query(pkt, c.from)
		out, done := c.s.r.Respond(sc, pkt, c.from.Addr(), true)
		if done {
			c.finish(out)
			if c.stranger {
				return
			}
			continue
		}
		c.s.r.Await(sc, pkt, c.from.Addr(), true, c.finish)
	}
}

// read returns the next message; false when there is none to answer. A server
// that stops reads nothing more.
func (c *tcpConn) read(buf []byte) ([]byte, bool) {
	var head [2]byte
	if !c.readFull(head[:], c.idle) {
		return buf, false
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	// Without a header there is nothing to answer (RFC 7766, section 8); those
	// longer than a question would hold much memory while they wait.
	if n < wire.HeaderLen || n > maxQuery {
		return buf, false
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	return buf, c.readFull(buf, min(c.idle, tcpMessage))
}

func (c *tcpConn) readFull(b []byte, within time.Duration) bool {
	until := time.Now().Add(within)
	c.s.mu.Lock()
	if c.s.stopping { // perhaps since before this connection was known
		until = time.Unix(1, 0)
	}
	_ = c.conn.SetReadDeadline(until) // the read tells
	c.s.mu.Unlock()
	_, err := io.ReadFull(c.conn, b)
	return err == nil
}

// finish queues one answer for the writer, with its length in front.
func (c *tcpConn) finish(out []byte) {
	if len(out) == 0 {
		c.release()
		return
	}
	c.tapped.answer(out, c.from)
	msg := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(out)), uint16(len(out)))
	msg = append(msg, out...)
	n := int64(len(msg))
	if mine, all := c.queued.Add(n), c.s.queued.Add(n); mine > tcpQueue && all > tcpQueues {
		_ = c.conn.Close() // the writer finds out and lets go of the rest
	}
	c.out <- msg
}

// letRead waits while much is queued: answers that are at hand come faster than
// a client can take them.
func (c *tcpConn) letRead() {
	for c.queued.Load() > tcpQueue/2 {
		<-c.sent
	}
}

// release gives the place of one question back.
func (c *tcpConn) release() {
	<-c.places
	c.s.pending.Done()
}

// write sends answers as they come. A client that does not read is cut off,
// and what was meant for it dropped.
func (c *tcpConn) write() {
	for msg := range c.out {
		_ = c.conn.SetWriteDeadline(time.Now().Add(tcpWrite)) // Write tells
		if _, err := c.conn.Write(msg); err != nil {
			_ = c.conn.Close()
		}
		c.queued.Add(-int64(len(msg)))
		c.s.queued.Add(-int64(len(msg)))
		select {
		case c.sent <- struct{}{}:
		default:
		}
		c.release()
	}
}
