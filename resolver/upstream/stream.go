package upstream

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/internal/wire"
)

const (
	streamIdle  = 10 * time.Second // a connection without questions is closed
	streamWrite = 2 * time.Second  // a peer that takes no octets for so long is gone
	streamDial  = 4 * time.Second
	streamQueue = 256 // questions waiting to be written
)

// stream is a TCP connection on which questions are pipelined and answered in
// any order: RFC 7766, section 6.2.1.1.
type stream struct {
	table
	srv  *server
	out  chan []byte   // questions with their two octets of length
	gone chan struct{} // closed by table.close

	answers atomic.Int64 // read so far
	ctx     context.Context
	cancel  context.CancelFunc
}

// openStream starts a connection; it is opened by its own goroutine. srv.mu is
// held.
func openStream(srv *server) (*stream, error) {
	if !srv.pool.gate.enter() {
		return nil, ErrClosed
	}
	c := &stream{srv: srv, out: make(chan []byte, streamQueue), gone: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(srv.pool.ctx)
	c.close = func() {
		c.srv.leaveStream(c, true)
		c.cancel()
		close(c.gone)
	}
	go c.run()
	return c, nil
}

// send queues one question; false when the queue is full.
func (c *stream) send(query []byte) bool {
	framed := make([]byte, 2, 2+len(query))
	binary.BigEndian.PutUint16(framed, uint16(len(query)))
	select {
	case c.out <- append(framed, query...):
		return true
	default:
		return false
	}
}

// run opens the connection and writes until it is closed or idle.
func (c *stream) run() {
	defer c.srv.pool.gate.leave()
	ctx, cancel := context.WithTimeout(c.ctx, streamDial)
	conn, err := c.srv.pool.network.DialTCP(ctx, c.srv.addr)
	cancel()
	if err != nil {
		c.fail(false)
		return
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(conn)
	}()
	c.write(conn)
	conn.Close()
	<-read
}

func (c *stream) write(conn net.Conn) {
	idle := time.NewTimer(streamIdle)
	defer idle.Stop()
	for {
		select {
		case q := <-c.out:
			_ = conn.SetWriteDeadline(time.Now().Add(streamWrite))
			if _, err := conn.Write(q); err != nil {
				c.fail(true)
				return
			}
			idle.Reset(streamIdle)
		case <-idle.C:
			if c.empty() {
				c.giveUp()
			}
			idle.Reset(streamIdle)
		case <-c.gone:
			return
		}
	}
}

// read hands answers to the flights until the connection ends, half way
// through one or not.
func (c *stream) read(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 4096)
	var size [2]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(r, size[:]); err != nil {
			break
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(r, buf); err != nil {
			break
		}
		c.answers.Add(1)
		if n < wire.HeaderLen {
			c.srv.pool.Stats.Mismatched.Add(1)
			continue
		}
		id := binary.BigEndian.Uint16(buf)
		if f := c.get(id); f == nil {
			c.srv.pool.Stats.Mismatched.Add(1)
		} else {
			f.receive(&c.table, id, buf)
		}
	}
	c.fail(true)
}

// fail ends the connection and moves its questions on. Those on a connection
// that has answered before are asked again: servers close idle connections,
// and the question may have crossed with that. RFC 7766, section 6.2.4. So are
// those of a server that closed, once open, after several questions with at most
// one answer: it takes one question, and the others spoil even its answer.
func (c *stream) fail(opened bool) {
	out := c.shut()
	answers := c.answers.Load()
	single := opened && answers <= 1 && int(answers)+len(out) > 1
	if single {
		c.srv.single.begin(time.Now())
	}
	for _, e := range out {
		if single || answers > 0 {
			e.f.reconnect(&c.table, e.id)
		} else {
			e.f.lost(&c.table, e.id)
		}
	}
}

// giveUp lets new questions go elsewhere, and closes the connection when those
// on it have given up, too.
func (c *stream) giveUp() {
	c.srv.leaveStream(c, false)
	c.retire()
}
