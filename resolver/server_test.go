package resolver

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
)

// patience is for answers that come, also when the machine stands still.
const patience = time.Minute

// serveScene starts a server for s on a free loopback port.
func serveScene(t *testing.T, s *scene, at string) netip.AddrPort {
	t.Helper()
	return serveWith(t, ServerOptions{Resolver: s.r, Workers: 2, Listen: []netip.AddrPort{netip.MustParseAddrPort(at)}})
}

func serveWith(t *testing.T, o ServerOptions) netip.AddrPort {
	t.Helper()
	srv, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, patience) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return srv.Addrs()[0]
}

func TestServer_overBothTransports(t *testing.T) {
	z := testZone("bl.test", spamhaus())
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}})
	at := serveScene(t, s, "127.0.0.1:0")
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network, Timeout: patience}
		for name, want := range map[string]string{"1.2.0.192": "NOERROR 127.0.0.10", "2.2.0.192": "NXDOMAIN", "8.2.0.192": "NXDOMAIN"} {
			m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name+".bl.test.", dns.TypeA), at.String())
			if err != nil {
				t.Fatalf("%s: %v", network, err)
			}
			if got := brief(m); got != want {
				t.Errorf("%s: %s: got %s, want %s", network, name, got, want)
			}
		}
	}
}

// TestServer_wildcard asks each of several addresses of a wildcard listener:
// a connected socket only takes an answer from the address that it asked.
func TestServer_wildcard(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	for at, addrs := range map[string][]string{"0.0.0.0:0": {"127.0.0.1", "127.0.0.5", "127.8.8.8"}, "[::]:0": {"::1"}} {
		port := serveScene(t, s, at).Port()
		for _, to := range addrs {
			for _, when := range []string{"miss", "hit"} {
				addr := netip.AddrPortFrom(netip.MustParseAddr(to), port).String()
				m, _, err := (&dns.Client{Timeout: patience}).Exchange(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA), addr)
				if err != nil || brief(m) != "NOERROR 127.0.0.10" {
					t.Errorf("%s at %s, %s: %v, %v", at, to, when, m, err)
				}
			}
		}
	}
}

func TestServer_secondInstanceFails(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	at := serveScene(t, s, "127.0.0.1:0")
	_, err := Listen(ServerOptions{Resolver: s.r, Log: slog.New(slog.DiscardHandler), Listen: []netip.AddrPort{at}})
	if err == nil {
		t.Fatal("a second server could take the same address")
	}
}

// TestServer_pipelines sends a question that has to wait and one that is
// cached in one segment: the second is answered first. Then the client closes
// its side, and still gets the first.
func TestServer_pipelines(t *testing.T) {
	l := spamhaus()
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	s.ask("1.2.0.192.bl.test", dns.TypeA)
	hold := make(chan struct{})
	l.set(func() { l.hold = hold })

	conn, err := net.Dial("tcp", serveScene(t, s, "127.0.0.1:0").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var both []byte
	for i, name := range []string{"2.2.0.192.bl.test.", "1.2.0.192.bl.test."} {
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		m.Id = uint16(i + 1)
		pkt, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		both = append(binary.BigEndian.AppendUint16(both, uint16(len(pkt))), pkt...)
	}
	if _, err := conn.Write(both); err != nil {
		t.Fatal(err)
	}
	if id := readID(t, conn); id != 2 {
		t.Fatalf("first answer is to question %d, want 2", id)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(hold)
	if id := readID(t, conn); id != 1 {
		t.Fatalf("second answer is to question %d, want 1", id)
	}
}

// TestServer_largeAnswersPipelined asks for more large answers than one client
// is to have queued, some that come all at once and others that are at hand. It
// reads a little later, and gets them all.
func TestServer_largeAnswersPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeList{ttl: 300, hold: make(chan struct{}), records: map[string][]string{"1.2.0.192.list.example A": {"127.0.0.2"}}}
		for range 20 {
			l.records["1.2.0.192.list.example TXT"] = append(l.records["1.2.0.192.list.example TXT"], strings.Repeat("x", 200))
		}
		s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
		here, there := net.Pipe()
		c := newTCPConn(&Server{r: s.r, conns: map[*tcpConn]struct{}{}}, there, netip.AddrPortFrom(testClient, 4))
		go c.serve()
		conn := &dns.Conn{Conn: here}
		go func() {
			for range 3 * tcpInFlight {
				if err := conn.WriteMsg(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeTXT)); err != nil {
					t.Errorf("asking: %v", err)
					return
				}
			}
		}()
		synctest.Wait()
		close(l.hold)
		synctest.Wait()
		for n := range 3 * tcpInFlight {
			if m, err := conn.ReadMsg(); err != nil || len(m.Answer) != 20 {
				t.Errorf("answer %d: %v", n, err)
				break
			}
		}
		_ = here.Close()
		synctest.Wait()
		s.r.Close()
	})
}

// TestServer_longQuestion pads a question until it is longer than one may be: as
// many as may wait would hold a client's share of memory a dozen times over.
func TestServer_longQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
		for _, tt := range []struct {
			size int
			want string
		}{{maxQuery, "NOERROR 127.0.0.10"}, {maxQuery + 1, "EOF"}} {
			here, there := net.Pipe()
			go newTCPConn(&Server{r: s.r, conns: map[*tcpConn]struct{}{}}, there, netip.AddrPortFrom(testClient, 4)).serve()
			m := new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA).SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, tt.size-m.Len()-4)}}
			conn := &dns.Conn{Conn: here}
			go func() { _ = conn.WriteMsg(m) }() // what comes back tells
			var got string
			if a, err := conn.ReadMsg(); err != nil {
				got = err.Error()
			} else {
				got = brief(a)
			}
			if got != tt.want {
				t.Errorf("%d octets: %s, want %s", tt.size, got, tt.want)
			}
			_ = here.Close()
		}
		synctest.Wait()
		s.r.Close()
	})
}

func readID(t *testing.T, r io.Reader) uint16 {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	msg := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(r, msg); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint16(msg)
}

// TestServer_answersWhatIsInFlight stops a server whose list is slow: the
// question that was read is answered before the sockets close.
func TestServer_answersWhatIsInFlight(t *testing.T) {
	l := spamhaus()
	hold := make(chan struct{})
	l.hold, l.began = hold, make(chan struct{}, 1)
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	srv, err := Listen(ServerOptions{Resolver: s.r, Log: slog.New(slog.DiscardHandler), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, patience) }()

	answered := make(chan string, 1)
	go func() {
		m, _, err := (&dns.Client{Timeout: patience}).Exchange(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA), srv.Addrs()[0].String())
		if err != nil {
			answered <- err.Error()
			return
		}
		answered <- brief(m)
	}()
	<-l.began
	cancel()
	close(hold)
	if got := <-answered; got != "NOERROR 127.0.0.10" {
		t.Errorf("got %s", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestServer_endsAfterGrace stops a server whose list does not answer in time.
// It leaves all the same, and without a log it does so in silence.
func TestServer_endsAfterGrace(t *testing.T) {
	l := spamhaus()
	hold := make(chan struct{})
	defer close(hold)
	l.hold, l.began = hold, make(chan struct{}, 1)
	s := newScene(t, []ZoneOptions{testZone("bl.test", l)})
	srv, err := Listen(ServerOptions{Resolver: s.r, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, time.Millisecond) }()

	conn, err := net.Dial("udp4", srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pkt, err := new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(pkt); err != nil {
		t.Fatal(err)
	}
	<-l.began
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestServer_strangers: clients that may not ask hold as many connections as
// they get, and keep nobody from asking who may.
func TestServer_strangers(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	if err := s.r.Configure(Settings{
		Zones: []ZoneOptions{testZone("bl.test", spamhaus())}, Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}); err != nil {
		t.Fatal(err)
	}
	at := serveScene(t, s, "127.0.0.1:0").String()
	stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	ask := func(d *net.Dialer) string {
		m, _, err := (&dns.Client{Net: "tcp", Dialer: d, Timeout: patience}).Exchange(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA), at)
		if err != nil {
			return err.Error()
		}
		return brief(m)
	}
	if got := ask(&stranger); got != "REFUSED" {
		t.Errorf("a stranger was told %s", got)
	}
	for range tcpClients + 1 {
		conn, err := stranger.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if got := ask(&net.Dialer{}); got != "NOERROR 127.0.0.10" {
		t.Errorf("who may ask was told %s", got)
	}
}

// TestServer_share: a client that may ask and holds as many connections as it
// gets keeps no other one from asking.
func TestServer_share(t *testing.T) {
	s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
	at := serveScene(t, s, "127.0.0.1:0").String()
	hog := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	for range tcpClients + 1 {
		conn, err := hog.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	m, _, err := (&dns.Client{Net: "tcp", Timeout: patience}).Exchange(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA), at)
	if err != nil || brief(m) != "NOERROR 127.0.0.10" {
		t.Errorf("another one was told %v, %v", m, err)
	}
}

// TestServer_idle: who asks nothing more for 10 s is left, and who may not ask at
// all is told so once, and has not long to ask.
func TestServer_idle(t *testing.T) {
	for _, tt := range []struct {
		client string
		asks   int
		rcode  int
		want   time.Duration
	}{
		{"127.0.0.1:4", 0, 0, tcpIdle},
		{"127.0.0.1:4", 2, dns.RcodeSuccess, 5*time.Second + tcpIdle},
		{"192.0.2.1:4", 0, 0, tcpStranger},
		{"192.0.2.1:4", 1, dns.RcodeRefused, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, []ZoneOptions{testZone("bl.test", spamhaus())})
			here, there := net.Pipe()
			go newTCPConn(&Server{r: s.r, conns: map[*tcpConn]struct{}{}}, there, netip.MustParseAddrPort(tt.client)).serve()
			conn, start := &dns.Conn{Conn: here}, time.Now()
			for i := range tt.asks {
				time.Sleep(time.Duration(i) * 5 * time.Second)
				if err := conn.WriteMsg(new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA)); err != nil {
					t.Fatal(err)
				}
				if m, err := conn.ReadMsg(); err != nil || m.Rcode != tt.rcode {
					t.Errorf("%s is told %v, %v", tt.client, m, err)
				}
			}
			if _, err := here.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != tt.want {
				t.Errorf("%s, after %d questions: left after %v with %v, want %v", tt.client, tt.asks, time.Since(start), err, tt.want)
			}
			s.r.Close()
		})
	}
}

// fullListener can accept nothing until it is closed.
type fullListener struct{ until time.Time }

func (l fullListener) Accept() (net.Conn, error) {
	if time.Now().Before(l.until) {
		return nil, syscall.EMFILE
	}
	return nil, net.ErrClosed
}
func (fullListener) Close() error   { return nil }
func (fullListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestServer_full: that it is out of descriptors is in the log once a minute.
func TestServer_full(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
		s.accept(fullListener{time.Now().Add(150 * time.Second)})
		if n := strings.Count(log.String(), "too many open files"); n != 3 {
			t.Errorf("%d lines in 150 s, want 3", n)
		}
	})
}
