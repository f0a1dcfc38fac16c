package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Faulty is a list that answers well or in one of the ways of Faults, over
// UDP and TCP. It lists what the test says, and the test entries of RFC 5782,
// section 5.
type Faulty struct {
	Addr netip.AddrPort
	zone string
	udp  *net.UDPConn
	spy  *net.UDPConn // another port, for answers from the wrong source
	tcp  *net.TCPListener
	wg   sync.WaitGroup

	mu     sync.Mutex
	fault  Fault
	listed map[string]string // lower-case owner name → code
	seen   []*dns.Msg
	conns  map[net.Conn]bool
}

// startFaulty serves the zone, well until Set says otherwise.
func startFaulty(t testing.TB, zone string) *Faulty {
	t.Helper()
	ip := freeIP(t)
	f := &Faulty{
		Addr:   netip.AddrPortFrom(ip, 5300),
		zone:   dns.Fqdn(zone),
		listed: make(map[string]string),
		conns:  make(map[net.Conn]bool),
	}
	f.List(map[string]string{"127.0.0.2": "127.0.0.2", "::ffff:7f00:2": "127.0.0.2", "test": "127.0.1.2"})
	var err error
	if f.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(f.Addr)); err != nil {
		t.Fatal(err)
	}
	if f.spy, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 5301))); err != nil {
		t.Fatal(err)
	}
	if f.tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(f.Addr)); err != nil {
		t.Fatal(err)
	}
	f.wg.Go(f.serveUDP)
	f.wg.Go(f.serveTCP)
	t.Cleanup(f.Close)
	return f
}

// Close makes the port unreachable and waits for what was under way.
func (f *Faulty) Close() {
	f.udp.Close()
	f.spy.Close()
	f.tcp.Close()
	f.mu.Lock()
	for conn := range f.conns {
		conn.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// Set changes the way in which questions are answered from now on.
func (f *Faulty) Set(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// List adds subjects with their codes.
func (f *Faulty) List(codes map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for subject, code := range codes {
		f.listed[strings.ToLower(reverse(subject, f.zone))] = code
	}
}

// Seen returns the questions so far.
func (f *Faulty) Seen() []*dns.Msg {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// AskedFor is how often a subject's A record was asked for.
func (f *Faulty) AskedFor(subject string) int {
	n := 0
	for _, m := range f.Seen() {
		q := m.Question[0]
		if q.Qtype == dns.TypeA && strings.EqualFold(q.Name, reverse(subject, f.zone)) {
			n++
		}
	}
	return n
}

func (f *Faulty) note(packet []byte) (*dns.Msg, Fault) {
	q := new(dns.Msg)
	if err := q.Unpack(packet); err != nil || len(q.Question) != 1 {
		return nil, Fault{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, q)
	return q, f.fault
}

func (f *Faulty) serveUDP() {
	buf := make([]byte, 65535)
	for {
		n, from, err := f.udp.ReadFromUDP(buf)
		if err != nil {
			return
		}
		q, fault := f.note(buf[:n])
		if q == nil {
			continue
		}
		send := func() {
			for _, packet := range fault.udp(f, q) {
				f.udp.WriteToUDP(packet, from)
			}
			if fault.spied != nil {
				f.spy.WriteToUDP(fault.spied(f, q), from)
			}
		}
		if fault.delay == 0 {
			send()
			continue
		}
		f.wg.Go(func() {
			<-time.After(fault.delay)
			send()
		})
	}
}

func (f *Faulty) serveTCP() {
	for {
		conn, err := f.tcp.AcceptTCP()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[conn] = true
		f.mu.Unlock()
		f.wg.Go(func() {
			f.serveConn(conn)
			f.mu.Lock()
			delete(f.conns, conn)
			f.mu.Unlock()
		})
	}
}

func (f *Faulty) serveConn(conn *net.TCPConn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		q, fault := f.note(packet)
		if q == nil || !fault.tcp(f, q, conn) {
			return
		}
	}
}

// healthy is the answer of a list that works.
func (f *Faulty) healthy(q *dns.Msg) *dns.Msg {
	question := q.Question[0]
	f.mu.Lock()
	code, listed := f.listed[strings.ToLower(question.Name)]
	f.mu.Unlock()
	if !listed {
		return f.unlisted(q)
	}
	return f.answer(q, code)
}

func (f *Faulty) unlisted(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	m.Ns = []dns.RR{&dns.SOA{
		Hdr: dns.RR_Header{Name: f.zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
		Ns:  "ns." + f.zone, Mbox: "hostmaster." + f.zone, Serial: 1, Refresh: 600, Retry: 300, Expire: 86400, Minttl: 60,
	}}
	return m
}

// answer lists the asked name with a code.
func (f *Faulty) answer(q *dns.Msg, code string) *dns.Msg {
	question := q.Question[0]
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: 60}
	switch question.Qtype {
	case dns.TypeA:
		m.Answer = []dns.RR{&dns.A{Hdr: header, A: net.ParseIP(code)}}
	case dns.TypeTXT:
		m.Answer = []dns.RR{&dns.TXT{Hdr: header, Txt: []string{"answered with " + code}}}
	}
	return m
}

func packed(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err) // the messages of this package are well formed
	}
	return b
}
