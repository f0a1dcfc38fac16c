package upstream

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dnsblproxy/resolver/rbl"

	"github.com/miekg/dns"
)

// fakeServer is a DNS server on a loopback port, UDP and TCP, that does what
// its script says. A nil script function does nothing with a question.
type fakeServer struct {
	t    testing.TB
	addr netip.AddrPort
	udp  *net.UDPConn
	tcp  *net.TCPListener
	wg   sync.WaitGroup

	mu      sync.Mutex
	onUDP   func(q query) // called one at a time
	onTCP   func(q query, conn *net.TCPConn)
	queries []query
	conns   int
}

// query is one question that arrived.
type query struct {
	*dns.Msg
	raw  []byte
	from netip.AddrPort
	tcp  bool
	send func(pkt []byte)
}

func newFakeServer(t testing.TB) *fakeServer {
	t.Helper()
	for range 20 {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			t.Fatal(err)
		}
		addr := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			udp.Close() // the port is taken for TCP
			continue
		}
		s := &fakeServer{t: t, addr: addr, udp: udp, tcp: tcp}
		s.wg.Go(s.serveUDP)
		s.wg.Go(s.serveTCP)
		t.Cleanup(s.close)
		return s
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil
}

func (s *fakeServer) close() {
	s.udp.Close()
	s.tcp.Close()
	s.wg.Wait()
}

// script sets what is done with questions.
func (s *fakeServer) script(udp func(q query), tcp func(q query, conn *net.TCPConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onUDP, s.onTCP = udp, tcp
}

// seen returns the questions so far.
func (s *fakeServer) seen() []query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]query(nil), s.queries...)
}

func (s *fakeServer) note(raw []byte) query {
	q := query{Msg: new(dns.Msg), raw: append([]byte(nil), raw...)}
	if err := q.Unpack(q.raw); err != nil {
		s.t.Errorf("question does not parse: %v", err)
	}
	return q
}

func (s *fakeServer) serveUDP() {
	buf := make([]byte, 65535)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		q := s.note(buf[:n])
		q.from = from
		q.send = func(pkt []byte) { s.udp.WriteToUDPAddrPort(pkt, from) }
		s.mu.Lock()
		s.queries = append(s.queries, q)
		do := s.onUDP
		s.mu.Unlock()
		if do != nil {
			do(q)
		}
	}
}

func (s *fakeServer) serveTCP() {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := s.tcp.AcceptTCP()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns++
		s.mu.Unlock()
		conns.Go(func() {
			defer conn.Close()
			s.serveConn(conn)
		})
	}
}

func (s *fakeServer) serveConn(conn *net.TCPConn) {
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, raw); err != nil {
			return
		}
		q := s.note(raw)
		q.tcp = true
		q.send = func(pkt []byte) { conn.Write(frame(pkt)) }
		s.mu.Lock()
		s.queries = append(s.queries, q)
		do := s.onTCP
		s.mu.Unlock()
		if do != nil {
			do(q, conn)
		}
	}
}

func frame(pkt []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(pkt))), pkt...)
}

// reply packs an answer to q with the records' lines.
func (q query) reply(rcode int, records ...string) []byte {
	m := new(dns.Msg)
	m.SetReply(q.Msg)
	m.Rcode, m.RecursionAvailable = rcode, true
	for _, line := range records {
		rr, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	pkt, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return pkt
}

// listed answers that the name is listed with 127.0.0.2.
func listed(q query) { q.send(q.reply(0, q.Question[0].Name+" 300 A 127.0.0.2")) }

func question(t testing.TB, name string, qtype uint16) Question {
	t.Helper()
	n, err := rbl.AppendName(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	return Question{Name: n, Type: qtype}
}

func newPool(t testing.TB) *Pool {
	p := NewPool(nil)
	t.Cleanup(p.Close)
	return p
}

// say writes an outcome in one line.
func say(o Outcome) string {
	switch {
	case errors.Is(o.Err, ErrTimeout):
		return "timeout"
	case o.Err != nil:
		return o.Err.Error()
	case o.Response.Rcode == 3:
		return "unlisted"
	case len(o.Response.Records) == 0:
		return "no data"
	}
	return net.IP(o.Response.Records[0]).String()
}

const short = 150 * time.Millisecond // an attempt, in tests over real sockets

// patient waits for servers that answer, also when the machine stands still: who
// waits for silence fails the test.
var patient = ExchangeOptions{Timeout: time.Hour, Deadline: time.Hour, CaseRandom: true}
