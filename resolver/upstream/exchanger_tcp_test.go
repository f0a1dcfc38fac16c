package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestExchanger_burstGoesToTCP(t *testing.T) {
	s := newFakeServer(t)
	s.script(func(q query) {
		for i := range 5 {
			wrong := q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66")
			wrong[0] += byte(i + 1)
			q.send(wrong)
		}
	}, func(q query, _ *net.TCPConn) { listed(q) })
	p := newPool(t)
	e := p.Exchanger([]netip.AddrPort{s.addr}, patient)
	o := e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
	if say(o) != "127.0.0.2" || p.Stats.Bursts.Load() != 1 {
		t.Errorf("%s after %v, %d bursts", say(o), o.Took, p.Stats.Bursts.Load())
	}
}

// An answer of 64 kB that comes in small pieces, behind an empty message.
func TestExchanger_largeTCP(t *testing.T) {
	s := newFakeServer(t)
	s.script(func(q query) { p := q.reply(0); p[2] |= 2; q.send(p) }, func(q query, c *net.TCPConn) {
		m := new(dns.Msg)
		m.SetReply(q.Msg)
		m.Compress = true
		for range 4090 {
			rr, _ := dns.NewRR(q.Question[0].Name + " 300 A 127.0.0.2")
			m.Answer = append(m.Answer, rr)
		}
		pkt, err := m.Pack()
		if err != nil || len(pkt) < 65000 {
			t.Errorf("packed %d octets, %v", len(pkt), err)
		}
		q.send(nil)
		for p := frame(pkt); len(p) > 0; p = p[min(len(p), 999):] {
			c.Write(p[:min(len(p), 999)])
		}
	})
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	o := e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
	if len(o.Response.Records) != 4090 {
		t.Errorf("%d records, %v", len(o.Response.Records), o.Err)
	}
}

// Questions on a connection that the server has closed meanwhile are asked
// again on a new one; answers may come in any order.
func TestExchanger_pipelines(t *testing.T) {
	s := newFakeServer(t)
	var mu sync.Mutex
	var held []query
	s.script(func(q query) { p := q.reply(0); p[2] |= 2; q.send(p) }, func(q query, c *net.TCPConn) {
		mu.Lock()
		defer mu.Unlock()
		if held = append(held, q); len(held) == 4 {
			for i := range held {
				listed(held[3-i])
			}
			held = nil
			c.Close()
		}
	})
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	for range 3 {
		var wg sync.WaitGroup
		for i := range 4 {
			q := question(t, string(rune('a'+i))+".bl.example", dns.TypeA)
			wg.Go(func() {
				if o := e.Exchange(t.Context(), q); say(o) != "127.0.0.2" {
					t.Errorf("%s", say(o))
				}
			})
		}
		wg.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns > 4 {
		t.Errorf("%d connections for three rounds", s.conns)
	}
}

// TestExchanger_closesAtTheSecond: a server that ends the connection at the second
// question has each come over a connection of its own from then on.
func TestExchanger_closesAtTheSecond(t *testing.T) {
	s := newFakeServer(t)
	var answered sync.Map // of connections
	var closed atomic.Int32
	s.script(func(q query) { p := q.reply(0); p[2] |= 2; q.send(p) }, func(q query, c *net.TCPConn) {
		if _, again := answered.LoadOrStore(c, true); again {
			closed.Add(1)
			c.Close()
			return
		}
		listed(q)
	})
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	for i := range 4 {
		if o := e.Exchange(t.Context(), question(t, string(rune('a'+i))+".bl.example", dns.TypeA)); say(o) != "127.0.0.2" {
			t.Errorf("question %d: %s", i, say(o))
		}
	}
	if n := closed.Load(); n != 1 {
		t.Errorf("it closed %d connections, want 1", n)
	}
}

// A server that closes each connection after one answer, whatever else was asked
// on it, is asked each question on a connection of its own.
func TestExchanger_oneAnswerPerConnection(t *testing.T) {
	s := newFakeServer(t)
	s.script(func(q query) { p := q.reply(0); p[2] |= 2; q.send(p) }, func(q query, c *net.TCPConn) {
		listed(q)
		c.Close()
	})
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	for range 2 {
		const n = 20
		got := make(chan Outcome, n)
		for i := range n {
			e.begin(question(t, string(rune('a'+i))+".bl.example", dns.TypeA), nil, func(o Outcome) { got <- o })
		}
		for range n {
			if o := <-got; say(o) != "127.0.0.2" {
				t.Errorf("%s", say(o))
			}
		}
	}
	// Should it keep them open by now, we do not.
	s.script(func(q query) { p := q.reply(0); p[2] |= 2; q.send(p) }, func(q query, _ *net.TCPConn) { listed(q) })
	o := e.Exchange(t.Context(), question(t, "z.bl.example", dns.TypeA))
	srv := e.servers[0]
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if say(o) != "127.0.0.2" || srv.tcp != nil {
		t.Errorf("%s, and the connection is kept: %t", say(o), srv.tcp != nil)
	}
}

// dials is a network that counts the TCP connections that are being opened; they
// never are.
type dials struct {
	*fakeNet
	open atomic.Int32
}

func (d *dials) DialTCP(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	d.open.Add(1)
	defer d.open.Add(-1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestExchanger_boundedConnections: a server to which each question takes a
// connection of its own does not get all the descriptors that there are.
func TestExchanger_boundedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dials{fakeNet: newFakeNet()}
		d.host(listAddr, func(m *dns.Msg) *dns.Msg {
			r := new(dns.Msg).SetReply(m)
			r.Truncated = true
			return r
		})
		p := NewPool(d)
		defer p.Close()
		e := p.Exchanger(addrs(listAddr), ExchangeOptions{})
		e.servers[0].single.begin(time.Now())
		const n = 2 * maxStreams
		got := make(chan Outcome, n)
		for range n {
			e.begin(question(t, "a.bl.example", dns.TypeA), nil, func(o Outcome) { got <- o })
		}
		time.Sleep(100 * time.Millisecond)
		if open := d.open.Load(); open != maxStreams || len(got) != n-maxStreams {
			t.Errorf("%d connections are being opened, %d questions have failed", open, len(got))
		}
		for range n {
			if o := <-got; o.Err == nil {
				t.Errorf("%s", say(o))
			}
		}
		synctest.Wait()
		if open := d.open.Load(); open != 0 {
			t.Errorf("%d connections are left", open)
		}
	})
}
