package upstream

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Each fault of a server, alone or before a healthy second one. No fault may
// make an answer that the server did not give, and none may hold the question
// longer than the deadline.
func TestExchanger_faults(t *testing.T) {
	drop := func(query) {}
	rcode := func(rc int) func(query) { return func(q query) { q.send(q.reply(rc)) } }
	change := func(f func(pkt []byte) []byte) func(query) {
		return func(q query) { q.send(f(q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66"))) }
	}
	truncated := change(func(p []byte) []byte { p[2] |= 2; return p })
	tests := []struct {
		name  string
		udp   func(query)
		tcp   func(query, *net.TCPConn)
		alone string // without a second server
	}{
		{"silent", drop, nil, "timeout"},
		{"SERVFAIL", rcode(2), nil, ErrServfail.Error()},
		{"REFUSED", rcode(5), nil, ErrRefused.Error()},
		{"REFUSED without the question", func(q query) { q.send(bareRefusal(q)) }, nil, ErrRefused.Error()},
		{"FORMERR to all without the question", func(q query) { q.send(header(q, dns.RcodeFormatError)) }, nil, ErrServfail.Error()},
		{"NOTAUTH", rcode(9), nil, ErrServfail.Error()},
		{"FORMERR to all", rcode(1), nil, ErrServfail.Error()},
		{"wrong ID", change(func(p []byte) []byte { p[0] ^= 0xff; return p }), nil, "timeout"},
		{"wrong name", change(func(p []byte) []byte { p[13] ^= 1; return p }), nil, "timeout"},
		{"wrong type", change(func(p []byte) []byte { p[bytes.Index(p, []byte("\x00\x00\x01\x00\x01"))+2] = 2; return p }), nil, "timeout"},
		{"QR not set", change(func(p []byte) []byte { p[2] &^= 0x80; return p }), nil, "timeout"},
		{"no question", change(func(p []byte) []byte { p[5] = 0; return p }), nil, "timeout"},
		{"record cut", change(func(p []byte) []byte { return p[:len(p)-3] }), nil, "timeout"},
		{"header cut", change(func(p []byte) []byte { return p[:7] }), nil, "timeout"},
		{"empty", change(func(p []byte) []byte { return nil }), nil, "timeout"},
		{"wrong source", func(q query) {
			conn, err := net.Dial("udp", q.from.String())
			if err == nil {
				conn.Write(q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66"))
				conn.Close()
			}
		}, nil, "timeout"},
		{"lame", func(q query) {
			m := new(dns.Msg)
			m.SetReply(q.Msg)
			rr, _ := dns.NewRR(". 300 NS a.root-servers.net.")
			m.Ns = append(m.Ns, rr)
			pkt, _ := m.Pack()
			q.send(pkt)
		}, nil, ErrServfail.Error()},
		{"other owner's record", func(q query) { q.send(q.reply(0, "other.test. 300 A 127.0.0.66")) }, nil, "no data"},
		{"TC, TCP good", truncated, func(q query, _ *net.TCPConn) { listed(q) }, "127.0.0.2"},
		{"TC, TC over TCP", truncated, func(q query, _ *net.TCPConn) {
			p := q.reply(0)
			p[2] |= 2
			q.send(p)
		}, ErrServfail.Error()},
		{"TC, TCP silent", truncated, nil, "timeout"},
		{"TC, TCP resets", truncated, func(_ query, c *net.TCPConn) { c.SetLinger(0); c.Close() }, ErrUnreachable.Error()},
		{"TC, TCP half a packet", truncated, func(q query, c *net.TCPConn) {
			p := frame(q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66"))
			c.Write(p[:len(p)/2])
			c.Close()
		}, ErrUnreachable.Error()},
		{"TC, TCP half a packet and silence", truncated, func(q query, c *net.TCPConn) { c.Write([]byte{0, 9, 1}) }, "timeout"},
		{"TC, TCP malformed", truncated, func(q query, c *net.TCPConn) {
			p := q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66")
			q.send(p[:len(p)-2])
		}, ErrServfail.Error()},
		{"TC, TCP other question first", truncated, func(q query, c *net.TCPConn) {
			p := q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66")
			p[13] ^= 1
			q.send(p)
			listed(q)
		}, "127.0.0.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad, good := newFakeServer(t), newFakeServer(t)
			bad.script(tt.udp, tt.tcp)
			good.script(listed, nil)
			p := newPool(t)
			q := question(t, "2.0.0.127.bl.example", dns.TypeA)
			opts := ExchangeOptions{Timeout: short, Deadline: time.Minute, CaseRandom: true}
			if tt.alone == "timeout" {
				opts.Deadline = 2 * short
			}
			o := p.Exchanger([]netip.AddrPort{bad.addr}, opts).Exchange(t.Context(), q)
			if got := say(o); got != tt.alone {
				t.Errorf("alone: %s, want %s", got, tt.alone)
			}
			opts.Deadline = time.Minute
			p.server(bad.addr).rtt.Store(1) // so that it is asked first
			p.server(good.addr).rtt.Store(2)
			p.server(bad.addr).fails.Store(0)
			want := "127.0.0.2"
			if tt.alone == "no data" {
				want = tt.alone
			}
			o = p.Exchanger([]netip.AddrPort{bad.addr, good.addr}, opts).Exchange(t.Context(), q)
			if got := say(o); got != want && got != "127.0.0.2" { // one in 32 goes to the good one first
				t.Errorf("before a good one: %s, want %s", got, want)
			}
		})
	}
}

// bareRefusal is how unbound answers those whom it does not know: a header.
func bareRefusal(q query) []byte { return header(q, dns.RcodeRefused) }

// header is an answer without its question.
func header(q query, rcode int) []byte {
	p := q.reply(rcode)[:12]
	p[5], p[11] = 0, 0
	return p
}

// What does not fit is dropped, and the answer that comes behind it taken.
func TestExchanger_waitsOn(t *testing.T) {
	s := newFakeServer(t)
	s.script(func(q query) {
		wrong := q.reply(0, q.Question[0].Name+" 300 A 127.0.0.66")
		wrong[0] ^= 1
		q.send(wrong)
		q.send(wrong[:5])
		listed(q)
	}, nil)
	p := newPool(t)
	e := p.Exchanger([]netip.AddrPort{s.addr}, patient)
	o := e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA))
	if say(o) != "127.0.0.2" || len(s.seen()) != 1 || p.Stats.Mismatched.Load() != 2 {
		t.Errorf("%s after %d questions, %d dropped", say(o), len(s.seen()), p.Stats.Mismatched.Load())
	}
}

func TestExchanger_remembersNoEDNS(t *testing.T) {
	for name, bare := range map[string]bool{"question echoed": false, "header alone": true} {
		t.Run(name, func(t *testing.T) {
			s := newFakeServer(t)
			s.script(func(q query) {
				if q.IsEdns0() == nil {
					listed(q)
					return
				}
				p := q.reply(dns.RcodeFormatError)
				if bare {
					p[5] = 0
					p = p[:12]
				}
				q.send(p)
			}, nil)
			e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
			for range 2 {
				if o := e.Exchange(t.Context(), question(t, "a.bl.example", dns.TypeA)); say(o) != "127.0.0.2" {
					t.Fatal(say(o))
				}
			}
			if n := len(s.seen()); n != 3 {
				t.Errorf("%d questions, want 3: with EDNS, without, without", n)
			}
		})
	}
}

func TestExchanger_query(t *testing.T) {
	s := newFakeServer(t)
	s.script(listed, nil)
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	name := "abcdefghijklmnopqrstuvwxyz.bl.example"
	for range 8 {
		e.Exchange(t.Context(), question(t, name, dns.TypeTXT))
	}
	spellings, ids, ports := map[string]bool{}, map[uint16]bool{}, map[uint16]bool{}
	for _, q := range s.seen() {
		spellings[q.Question[0].Name], ids[q.Id], ports[q.from.Port()] = true, true, true
		if !strings.EqualFold(q.Question[0].Name, name+".") || q.Question[0].Qtype != dns.TypeTXT ||
			!q.RecursionDesired || q.IsEdns0().UDPSize() != 1232 {
			t.Errorf("asked %v", q.Msg)
		}
	}
	if len(spellings) < 8 || len(ids) < 7 || len(ports) < 2 {
		t.Errorf("8 questions: %d spellings, %d IDs, %d ports", len(spellings), len(ids), len(ports))
	}
}

// A server that points from an SOA into the question, as rbldnsd does, does not
// hand its random case on.
func TestExchanger_caseOfPointers(t *testing.T) {
	s := newFakeServer(t)
	s.script(func(q query) {
		m := new(dns.Msg).SetRcode(q.Msg, dns.RcodeNameError)
		m.Compress = true
		apex := q.Question[0].Name[len("4.3.2.1."):]
		m.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns." + apex, Mbox: "root." + apex, Minttl: 60,
		}}
		pkt, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		q.send(pkt)
	}, nil)
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	o := e.Exchange(t.Context(), question(t, "4.3.2.1.abcdefghijklmnopqrstuvwxyz.example", dns.TypeA))
	if soa := string(o.Response.SOA); soa == "" || soa != strings.ToLower(soa) {
		t.Errorf("SOA is %q (%v), want the case of the question that was handed in", soa, o.Err)
	}
}

// A server that changes the case of a question is found out, whichever it likes.
func TestExchanger_caseChangingServer(t *testing.T) {
	for name, change := range map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper} {
		t.Run(name, func(t *testing.T) {
			s := newFakeServer(t)
			s.script(func(q query) {
				q.Question[0].Name = change(q.Question[0].Name)
				listed(q)
			}, nil)
			p := newPool(t)
			e := p.Exchanger([]netip.AddrPort{s.addr}, patient)
			for range 5 {
				if o := e.Exchange(t.Context(), question(t, "aaaaaaaaaaaaaaaaaaaaaaaa.example", dns.TypeA)); say(o) != "127.0.0.2" {
					t.Fatal(say(o))
				}
			}
			if n := p.Stats.PlainCase.Load(); n == 0 || n > 3 {
				t.Errorf("%d repetitions in lower case, want a few and then none", n)
			}
		})
	}
}

func TestExchanger_portClosed(t *testing.T) {
	s, good := newFakeServer(t), newFakeServer(t)
	good.script(listed, nil)
	s.close()
	p := newPool(t)
	q := question(t, "a.bl.example", dns.TypeA)
	o := p.Exchanger([]netip.AddrPort{s.addr}, patient).Exchange(t.Context(), q)
	if o.Err != ErrUnreachable {
		t.Errorf("closed port: %v", o.Err)
	}
	p.server(s.addr).fails.Store(0)
	p.server(s.addr).rtt.Store(1)
	p.server(good.addr).rtt.Store(2)
	o = p.Exchanger([]netip.AddrPort{s.addr, good.addr}, patient).Exchange(t.Context(), q)
	if say(o) != "127.0.0.2" {
		t.Errorf("closed port, then a good one: %s", say(o))
	}
}

func TestExchanger_cancelAndClose(t *testing.T) {
	s := newFakeServer(t)
	p := NewPool(nil)
	e := p.Exchanger([]netip.AddrPort{s.addr}, patient)
	q := question(t, "a.bl.example", dns.TypeA)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if o := e.Exchange(ctx, q); o.Err != context.DeadlineExceeded {
		t.Errorf("context ended: %v", o.Err)
	}
	results := make(chan error, 3)
	out := e.begin(q, nil, func(o Outcome) { results <- o.Err })
	out.cancel(ErrCanceled)
	out.cancel(ErrCanceled)
	if err := <-results; err != ErrCanceled {
		t.Errorf("canceled: %v", err)
	}
	for range 2 {
		e.begin(q, nil, func(o Outcome) { results <- o.Err })
	}
	p.Close()
	if err1, err2 := <-results, <-results; err1 != ErrClosed || err2 != ErrClosed {
		t.Errorf("pool closed: %v, %v", err1, err2)
	}
	if o := e.Exchange(t.Context(), q); o.Err != ErrClosed {
		t.Errorf("after Close: %v", o.Err)
	}
	if len(results) != 0 {
		t.Error("done was called more than once")
	}
}

// A question that cannot be sent has landed when Start returns, or while it
// runs: its flight may then be the one that the question to the other servers
// gets, and must not be locked, nor its name be read any more.
func TestExchanger_askOthersGetsAFlight(t *testing.T) {
	var flights [4]*flight // more than are used
	dials := 0
	p := NewPool(nowhere(func() {
		dials++
		locked := 0
		for _, f := range flights {
			if !f.mu.TryLock() {
				locked++
				continue
			}
			f.mu.Unlock()
		}
		if locked != 1 {
			t.Errorf("dial %d: %d flights are locked, want that which is tried alone", dials, locked)
		}
	}))
	defer p.Close()
	for i := range flights {
		flights[i] = p.newFlight()
		p.free.Put(flights[i])
	}
	done := make(chan Outcome, 1)
	e := p.Exchanger(addrs("192.0.2.1:53", "192.0.2.2:53"), ExchangeOptions{})
	e.begin(question(t, "a.bl.example", dns.TypeA), nil, func(o Outcome) { done <- o })
	if o := <-done; o.Err != ErrUnreachable {
		t.Errorf("outcome %v", o.Err)
	}
	if dials < 2 {
		t.Error("no other server was asked")
	}
}

// nowhere is a network without a route, which is told of each dial over UDP.
type nowhere func()

func (n nowhere) DialUDP(netip.AddrPort) (net.Conn, error) {
	n()
	return nil, net.ErrClosed
}

func (n nowhere) DialTCP(context.Context, netip.AddrPort) (net.Conn, error) {
	return nil, net.ErrClosed
}

// A clock that was wrong and is set back does not lengthen what was noted by it.
func TestServer_clockSetBack(t *testing.T) {
	s := &server{}
	wrong := time.Now()
	right := wrong.Add(-24 * time.Hour)
	s.plainDNS.begin(wrong)
	s.keepsCase(false, wrong)
	s.keepsCase(false, wrong)
	if !s.retryDue(wrong) || s.retryDue(wrong.Add(firstRetry/2)) {
		t.Error("a server that does not answer is not asked once per pause")
	}
	if !s.retryDue(right) || s.retryDue(right.Add(firstRetry)) {
		t.Error("a server that does not answer is not asked once per pause by the clock set back")
	}
	if s.plainDNS.lasts(right) || s.plainCase.lasts(right) {
		t.Error("what a server lacks is remembered for a day")
	}
}
