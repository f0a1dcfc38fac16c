package upstream

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

func TestExchanger_Relay(t *testing.T) {
	s := newFakeServer(t)
	answers := make(chan []byte, 1)
	for _, tcp := range []bool{false, true} {
		s.script(func(q query) {
			answer := q.reply(0, q.Question[0].Name+" 300 MX 10 mx.example.")
			answer[2] |= 2
			answer = append(answer, "tail"...)
			answers <- answer
			q.send(answer)
		}, func(q query, _ *net.TCPConn) {
			answer := q.reply(3)
			answers <- answer
			q.send(answer)
		})
		e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
		m := new(dns.Msg)
		m.SetQuestion("eXample.ORG.", dns.TypeMX)
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 2*keptQuery)})
		m.CheckingDisabled, m.Id = true, 0x1234
		pkt, _ := m.Pack()
		sent := bytes.Clone(pkt)
		got := make(chan []byte, 1)
		e.Relay(pkt, tcp, func(p []byte, err error) {
			if err != nil {
				t.Error(err)
			}
			got <- p
		})
		back, answer := <-got, <-answers
		if !bytes.Equal(pkt, sent) {
			t.Error("Relay changed the caller's packet")
		}
		if len(back) != len(answer) || back[0] != 0x12 || back[1] != 0x34 || !bytes.Equal(back[2:], answer[2:]) {
			t.Errorf("tcp=%t: passed back %x, server sent %x", tcp, back, answer)
		}
		qs := s.seen()
		if f := e.pool.free.Get(); f == nil || cap(f.query) > keptQuery {
			t.Errorf("tcp=%t: the question is kept", tcp)
		}
		if q := qs[len(qs)-1]; q.tcp != tcp || !bytes.Equal(q.raw[2:], sent[2:]) {
			t.Errorf("tcp=%t: passed on %x (tcp %t), got %x", tcp, q.raw, q.tcp, sent)
		}
	}
}

func TestExchanger_RelayFailure(t *testing.T) {
	a, b := newFakeServer(t), newFakeServer(t)
	a.script(func(q query) { q.send(q.reply(2)) }, nil)
	b.script(func(q query) { q.send(q.reply(0)) }, nil)
	p := newPool(t)
	p.server(a.addr).rtt.Store(1)
	p.server(b.addr).rtt.Store(2)
	m := new(dns.Msg)
	m.SetQuestion("example.org.", dns.TypeA)
	pkt, _ := m.Pack()
	ask := func(opts ExchangeOptions, servers ...netip.AddrPort) (rcode int) {
		got := make(chan int, 1)
		p.Exchanger(servers, opts).Relay(pkt, false, func(pkt []byte, err error) {
			if err != nil {
				got <- -1
				return
			}
			got <- int(pkt[3] & 15)
		})
		return <-got
	}
	if rc := ask(patient, a.addr, b.addr); rc != 0 {
		t.Errorf("SERVFAIL, then good: rcode %d", rc)
	}
	if rc := ask(patient, a.addr); rc != 2 {
		t.Errorf("SERVFAIL alone: rcode %d", rc)
	}
	b.script(func(q query) { q.send(bareRefusal(q)) }, nil)
	if rc := ask(patient, b.addr); rc != 5 {
		t.Errorf("REFUSED without the question: rcode %d", rc)
	}
	b.script(nil, nil)
	if rc := ask(ExchangeOptions{Timeout: short, Deadline: short}, b.addr); rc != -1 {
		t.Errorf("silence: rcode %d", rc)
	}
}

// A question goes over UDP, also with the memory of one that was passed on
// over TCP: a list that knows no TCP would be thought unreachable.
func TestExchanger_RelayLeavesNoTCP(t *testing.T) {
	s := newFakeServer(t)
	s.script(listed, func(q query, _ *net.TCPConn) { q.send(q.reply(0)) })
	e := newPool(t).Exchanger([]netip.AddrPort{s.addr}, patient)
	pkt, err := new(dns.Msg).SetQuestion("example.org.", dns.TypeMX).Pack()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		passed := make(chan error)
		e.Relay(pkt, true, func(_ []byte, err error) { passed <- err })
		if err := <-passed; err != nil {
			t.Fatal(err)
		}
		if o := e.Exchange(t.Context(), question(t, "2.0.0.127.list.example", dns.TypeA)); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	over := 0
	for _, q := range s.seen() {
		if q.tcp && q.Question[0].Qtype == dns.TypeA {
			over++
		}
	}
	if over > 0 {
		t.Errorf("%d of 20 questions for a list went over TCP", over)
	}
}
