package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// hostileProxy is a proxy with one list and a check that it is well.
func hostileProxy(t *testing.T) (proxy *Proxy, well func()) {
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	proxy = startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr) + "[allow.one]\ncidr = [\"192.0.2.67\"]\n"})
	return proxy, func() {
		t.Helper()
		for subject, want := range map[string]string{"192.0.2.66": "listed 127.0.0.2", "192.0.2.67": "unlisted", "192.0.2.1": "unlisted"} {
			for _, network := range []string{"udp", "tcp"} {
				// A packet may drown in the flood, so once more is no fault.
				eventually(t, soon, subject+" over "+network, func() error {
					c := dns.Client{Net: network, Timeout: 7 * time.Second}
					m, _, err := c.Exchange(new(dns.Msg).SetQuestion(reverse(subject, "bl.example"), dns.TypeA), proxy.Addr.String())
					if err == nil && summary(m) != want {
						t.Errorf("%s over %s is %s, want %s", subject, network, summary(m), want)
					}
					return err
				})
			}
		}
	}
}

// seeds are well-formed packets of the kinds that the server treats apart.
func seeds() [][]byte {
	var out [][]byte
	for _, m := range []*dns.Msg{
		new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA),
		new(dns.Msg).SetQuestion(reverse("192.0.2.67", "bl.example"), dns.TypeTXT),
		new(dns.Msg).SetQuestion(reverse("2001:db8::1", "bl.example"), dns.TypeANY),
		new(dns.Msg).SetQuestion("bl.example.", dns.TypeSOA),
		new(dns.Msg).SetQuestion("2.0.192.bl.example.", dns.TypeA),
		new(dns.Msg).SetQuestion("www.example.net.", dns.TypeAAAA),
		new(dns.Msg).SetAxfr("bl.example."),
		new(dns.Msg).SetNotify("bl.example."),
	} {
		out = append(out, packed(m), packed(m.Copy().SetEdns0(1232, true)))
	}
	return out
}

// mutate spoils a packet in one to four places.
func mutate(random *rand.Rand, seed []byte) []byte {
	b := append([]byte(nil), seed...)
	for range 1 + random.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := random.IntN(len(b))
		switch random.IntN(6) {
		case 0:
			b[at] ^= 1 << random.IntN(8)
		case 1:
			b[at] = byte(random.IntN(256))
		case 2:
			b = b[:at]
		case 3:
			b = append(b, b[at:]...)
		case 4:
			b[at] = 0xc0 | byte(random.IntN(64)) // a compression pointer
		case 5:
			b = append(b[:at:at], b[min(at+1+random.IntN(4), len(b)):]...)
		}
	}
	return b
}

// TestHostile_mutatedPackets sends 5,000 spoiled packets over UDP and a
// thousand more over TCP. Each may get an answer or none; what comes must be
// a well-formed answer to its ID, and the server must live.
func TestHostile_mutatedPackets(t *testing.T) {
	t.Parallel()
	proxy, well := hostileProxy(t)
	random := rand.New(rand.NewPCG(5000, 1))
	all := seeds()

	conn, err := net.Dial("udp", proxy.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	replies := make(chan int)
	go func() {
		n := 0
		buf := make([]byte, 65535)
		for {
			size, err := conn.Read(buf)
			if err != nil {
				replies <- n
				return
			}
			n++
			checkReply(t, buf[:size])
		}
	}()
	for i := range 5000 {
		conn.Write(mutate(random, all[i%len(all)]))
		if i%500 == 0 {
			well() // and let it catch up
		}
	}
	well()
	conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	n := <-replies
	t.Logf("5000 mutated packets, %d answers", n)
	if n == 0 {
		t.Error("none of the mutated packets was answered, not even the harmless ones")
	}

	for i := range 1000 {
		sendTCP(t, proxy, framed(mutate(random, all[i%len(all)])))
	}
	well()
}

// sendTCP writes and reads what comes at once, on a connection of its own.
func sendTCP(t *testing.T, proxy *Proxy, stream []byte) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", proxy.Addr.String(), clientTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(stream)
	conn.(*net.TCPConn).CloseWrite()
	conn.SetReadDeadline(time.Now().Add(clientTimeout))
	started := awake()()
	var length [2]byte
	for {
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			if took := since(started); took > 7*time.Second { // an idle one is closed after 10 s
				t.Errorf("a half-closed connection is still open after %v", took)
			}
			return
		}
		reply := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, reply); err != nil {
			t.Errorf("half a reply over TCP: %v", err)
			return
		}
		checkReply(t, reply)
	}
}

// checkReply fails the test unless the bytes are a DNS response that listed
// nobody but 192.0.2.66.
func checkReply(t *testing.T, b []byte) {
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		t.Errorf("the reply %x does not parse: %v", b, err)
		return
	}
	if !m.Response {
		t.Errorf("the reply %x has QR clear", b)
	}
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok && !strings.EqualFold(a.Hdr.Name, reverse("192.0.2.66", "bl.example")) {
			t.Errorf("listed: %v", a)
		}
	}
}

// TestHostile_slowWriters holds many connections that send a byte now and
// then, or half a question and nothing more, or nothing. Others are served
// meanwhile, and the idle ones are closed after 10 s.
func TestHostile_slowWriters(t *testing.T) {
	t.Parallel()
	proxy, well := hostileProxy(t)
	question := framed(packed(new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA)))
	var conns []net.Conn
	for i := range 150 {
		conn, err := net.DialTimeout("tcp", proxy.Addr.String(), clientTimeout)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(question[:i%len(question)])
		conns = append(conns, conn)
	}
	well()
	// One that keeps writing a byte at a time gets no extra time for it.
	conns[0].Write([]byte{1, 0})
	drip := time.NewTicker(500 * time.Millisecond)
	defer drip.Stop()
	started := awake()()
	slow := conns[0]
	for closed := false; !closed; {
		<-drip.C
		slow.Write([]byte{0})
		slow.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := slow.Read(make([]byte, 512))
		closed = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
		if since(started) > 25*time.Second {
			t.Error("a connection that drips bytes is still open after 25s")
			closed = true
		}
	}
	for i, conn := range conns[1:] {
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d, idle with part of a question, is still open", i+1)
		}
	}
	well()
}

// TestHostile_slowReader asks over TCP without ever reading the answers, far
// more than any buffer holds. Others are served meanwhile.
func TestHostile_slowReader(t *testing.T) {
	t.Parallel()
	proxy, well := hostileProxy(t)
	conn, err := net.DialTimeout("tcp", proxy.Addr.String(), clientTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4096)
	question := framed(packed(new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA)))
	batch := []byte(strings.Repeat(string(question), 1000))
	conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	sent := 0
	for range 200 {
		n, err := conn.Write(batch)
		sent += n
		if err != nil {
			break
		}
	}
	t.Logf("%d questions written before the server stopped reading", sent/len(question))
	well()
}

// TestHostile_manyConnections opens more connections than are allowed; the
// server keeps on answering over UDP and, once they are gone, over TCP.
func TestHostile_manyConnections(t *testing.T) {
	t.Parallel()
	proxy, well := hostileProxy(t)
	var conns []net.Conn
	for range 4100 {
		conn, err := net.DialTimeout("tcp", proxy.Addr.String(), time.Second)
		if err != nil {
			break
		}
		conns = append(conns, conn)
	}
	if got := summary(ask(t, proxy.Addr, reverse("192.0.2.66", "bl.example"), dns.TypeA)); got != "listed 127.0.0.2" {
		t.Errorf("with %d connections open, over UDP: %s", len(conns), got)
	}
	for _, conn := range conns {
		conn.Close()
	}
	eventually(t, soon, "TCP to be served again", func() error {
		_, _, err := exchange("tcp", proxy.Addr, new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA))
		return err
	})
	well()
}

// TestPipelining sends many questions at once on one connection; each gets
// its answer, in any order, also those whose list is slow.
func TestPipelining(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	codes := make(map[string]string) // not of TEST-NET, which no list may have as a whole
	for n := range 200 {
		codes[fmt.Sprintf("10.20.30.%d", n)] = fmt.Sprintf("127.0.0.%d", 2+n%9)
	}
	list.List(codes)
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr)})
	list.Set(Fault{delay: 300 * time.Millisecond})
	conn, err := net.DialTimeout("tcp", proxy.Addr.String(), clientTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var stream []byte
	for n := range 200 {
		m := new(dns.Msg).SetQuestion(reverse(fmt.Sprintf("10.20.30.%d", n), "bl.example"), dns.TypeA)
		m.Id = uint16(n)
		stream = append(stream, framed(packed(m))...)
	}
	started := awake()()
	conn.Write(stream)
	conn.SetReadDeadline(time.Now().Add(clientTimeout))
	got := make(map[uint16]string)
	co := dns.Conn{Conn: conn}
	for range 200 {
		m, err := co.ReadMsg()
		if err != nil {
			t.Fatalf("after %d answers: %v", len(got), err)
		}
		got[m.Id] = summary(m)
	}
	for n := range 200 {
		if want := "listed " + codes[fmt.Sprintf("10.20.30.%d", n)]; got[uint16(n)] != want {
			t.Errorf("question %d: %q, want %q", n, got[uint16(n)], want)
		}
	}
	if took := since(started); took > 10*time.Second { // one after the other: a minute
		t.Errorf("200 pipelined questions to a list that takes 300ms took %v", took)
	}
}
