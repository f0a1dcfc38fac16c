package e2e

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Fault is one way of answering. The zero Fault answers well.
type Fault struct {
	Name  string
	delay time.Duration                               // before the UDP answer
	reply func(f *Faulty, q *dns.Msg) *dns.Msg        // what is said, UDP and TCP alike; nil: the healthy answer
	raw   func(f *Faulty, q *dns.Msg) [][]byte        // the UDP packets, instead of reply
	spied func(f *Faulty, q *dns.Msg) []byte          // a packet from the wrong port, beside the others
	over  func(f *Faulty, q *dns.Msg, c *net.TCPConn) // the TCP answer, instead of reply; the connection ends after it
}

func (x Fault) say(f *Faulty, q *dns.Msg) *dns.Msg {
	if x.reply == nil {
		return f.healthy(q)
	}
	return x.reply(f, q)
}

func (x Fault) udp(f *Faulty, q *dns.Msg) [][]byte {
	if x.raw != nil {
		return x.raw(f, q)
	}
	return [][]byte{packed(x.say(f, q))}
}

// tcp answers and tells whether the connection goes on.
func (x Fault) tcp(f *Faulty, q *dns.Msg, conn *net.TCPConn) bool {
	if x.over != nil {
		x.over(f, q, conn)
		return false
	}
	_, err := conn.Write(framed(packed(x.say(f, q))))
	return err == nil
}

// Faults are the ways in which lists and the paths to them fail.
func Faults() []Fault {
	return append(append(silentFaults(), wrongFaults()...), append(forgedFaults(), tcpFaults()...)...)
}

// faultNamed finds one of Faults.
func faultNamed(name string) Fault {
	for _, fault := range Faults() {
		if fault.Name == name {
			return fault
		}
	}
	panic("no fault " + name)
}

func nothing(*Faulty, *dns.Msg) [][]byte { return nil }

// silentFaults say nothing, or say that they cannot say anything.
func silentFaults() []Fault {
	return []Fault{
		{Name: "silent", raw: nothing, over: func(*Faulty, *dns.Msg, *net.TCPConn) {}},
		{Name: "slow", delay: 1500 * time.Millisecond},
		{Name: "servfail", reply: rcode(dns.RcodeServerFailure)},
		{Name: "refused", reply: rcode(dns.RcodeRefused)},
		{Name: "notimp", reply: rcode(dns.RcodeNotImplemented)},
		{Name: "formerr", reply: rcode(dns.RcodeFormatError)},
		{Name: "formerr on EDNS", reply: func(f *Faulty, q *dns.Msg) *dns.Msg {
			if q.IsEdns0() != nil {
				return new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
			}
			return f.healthy(q)
		}},
		{Name: "lame referral", reply: func(f *Faulty, q *dns.Msg) *dns.Msg {
			m := new(dns.Msg).SetReply(q)
			m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "a.root-servers.net."}}
			return m
		}},
	}
}

// wrongFaults are proper DNS with a wrong meaning.
func wrongFaults() []Fault {
	return []Fault{
		{Name: "wildcard", reply: code("127.0.0.2")},
		{Name: "parked address", reply: code("203.0.113.80")},
		{Name: "error code 252", reply: code("127.255.255.252")},
		{Name: "error code 254", reply: code("127.255.255.254")},
		{Name: "error code 255", reply: code("127.255.255.255")},
		{Name: "code 127.0.0.1", reply: code("127.0.0.1")},
		{Name: "another owner", reply: func(f *Faulty, q *dns.Msg) *dns.Msg {
			m := f.answer(q, "127.0.0.2")
			for _, rr := range m.Answer {
				rr.Header().Name = "other." + f.zone
			}
			return m
		}},
		{Name: "CNAME out of the zone", reply: func(f *Faulty, q *dns.Msg) *dns.Msg {
			m := f.answer(q, "127.0.0.2")
			m.Answer = []dns.RR{&dns.CNAME{
				Hdr:    dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60},
				Target: "elsewhere.test.",
			}}
			return m
		}},
	}
}

// forgedFaults are packets that do not belong to the question, or to DNS.
// None of them may be taken for the answer; those that claim a listing claim
// it for every name.
func forgedFaults() []Fault {
	return []Fault{
		{Name: "wrong ID", raw: forged(func(f *Faulty, m *dns.Msg) { m.Id++ })},
		{Name: "wrong question", raw: forged(func(f *Faulty, m *dns.Msg) {
			m.Question[0].Name = "1.1.1.1." + f.zone
			for _, rr := range m.Answer {
				rr.Header().Name = m.Question[0].Name
			}
		})},
		{Name: "no question", raw: forged(func(f *Faulty, m *dns.Msg) { m.Question = nil })},
		{Name: "question returned", raw: forged(func(f *Faulty, m *dns.Msg) { m.Response = false })},
		{Name: "wrong source", raw: nothing, spied: func(f *Faulty, q *dns.Msg) []byte { return packed(f.answer(q, "127.0.0.2")) }},
		{Name: "pointer loop", raw: pointerLoop},
		{Name: "cut off", raw: func(f *Faulty, q *dns.Msg) [][]byte {
			b := packed(f.answer(q, "127.0.0.2"))
			return [][]byte{b[:len(b)-3]}
		}},
		{Name: "header alone", raw: func(f *Faulty, q *dns.Msg) [][]byte { return [][]byte{packed(f.answer(q, "127.0.0.2"))[:12]} }},
		{Name: "noise", raw: func(*Faulty, *dns.Msg) [][]byte { return [][]byte{bytes.Repeat([]byte{0xff}, 100), {}} }},
		{Name: "forged before the answer", raw: func(f *Faulty, q *dns.Msg) [][]byte {
			var all [][]byte
			for n := range uint16(20) {
				m := f.answer(q, "127.0.0.2")
				m.Id = q.Id + 1 + n
				all = append(all, packed(m))
			}
			return append(all, packed(f.healthy(q)))
		}},
	}
}

// tcpFaults start with a truncated answer over UDP and go wrong over TCP.
func tcpFaults() []Fault {
	return []Fault{
		{Name: "truncated for ever", reply: func(f *Faulty, q *dns.Msg) *dns.Msg {
			m := f.healthy(q)
			m.Truncated, m.Answer, m.Ns = true, nil, nil
			return m
		}},
		{Name: "half an answer over TCP", raw: truncated, over: func(f *Faulty, q *dns.Msg, c *net.TCPConn) {
			b := framed(packed(f.answer(q, "127.0.0.2")))
			c.Write(b[:len(b)/2])
		}},
		{Name: "64 kB over TCP", raw: truncated, over: func(f *Faulty, q *dns.Msg, c *net.TCPConn) { c.Write(framed(huge(f, q))) }},
		{Name: "reset over TCP", raw: truncated, over: func(f *Faulty, q *dns.Msg, c *net.TCPConn) { c.SetLinger(0) }},
		{Name: "noise over TCP", raw: truncated, over: func(f *Faulty, q *dns.Msg, c *net.TCPConn) { c.Write(framed(bytes.Repeat([]byte{0xff}, 64))) }},
	}
}

func rcode(n int) func(*Faulty, *dns.Msg) *dns.Msg {
	return func(_ *Faulty, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, n) }
}

func code(c string) func(*Faulty, *dns.Msg) *dns.Msg {
	return func(f *Faulty, q *dns.Msg) *dns.Msg { return f.answer(q, c) }
}

// forged is a listing of the asked name with something wrong about it, and
// nothing else.
func forged(spoil func(*Faulty, *dns.Msg)) func(*Faulty, *dns.Msg) [][]byte {
	return func(f *Faulty, q *dns.Msg) [][]byte {
		m := f.answer(q, "127.0.0.2")
		spoil(f, m)
		return [][]byte{packed(m)}
	}
}

func truncated(f *Faulty, q *dns.Msg) [][]byte {
	m := new(dns.Msg).SetReply(q)
	m.Truncated = true
	return [][]byte{packed(m)}
}

// pointerLoop is an answer whose owner name points at itself.
func pointerLoop(f *Faulty, q *dns.Msg) [][]byte {
	m := new(dns.Msg).SetReply(q)
	b := packed(m)
	binary.BigEndian.PutUint16(b[6:], 1) // ANCOUNT
	at := len(b)
	b = append(b, 0xc0|byte(at>>8), byte(at), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2)
	return [][]byte{b}
}

// huge is an unlisted answer with as much beside it as a message holds.
func huge(f *Faulty, q *dns.Msg) []byte {
	m := f.healthy(q)
	filler := &dns.TXT{
		Hdr: dns.RR_Header{Name: f.zone, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60},
		Txt: []string{strings.Repeat("x", 255)},
	}
	m.Compress = true
	for m.Len() < 65000 {
		m.Extra = append(m.Extra, filler, filler)
	}
	return packed(m)
}

// framed puts the length in front that DNS over TCP has.
func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}
