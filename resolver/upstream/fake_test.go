package upstream

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakeNet is a network inside the process, for timelines in a synctest bubble,
// where real sockets do not work. It carries UDP only.
type fakeNet struct {
	mu      sync.Mutex
	servers map[netip.AddrPort]*fakeHost
}

// fakeHost answers the questions to one address. A nil answer drops them.
type fakeHost struct {
	mu     sync.Mutex
	answer func(m *dns.Msg) *dns.Msg
	delay  time.Duration
	asked  []time.Duration // when, since the host was made
	names  []string
	born   time.Time
}

func newFakeNet() *fakeNet { return &fakeNet{servers: make(map[netip.AddrPort]*fakeHost)} }

// host makes addr a server.
func (n *fakeNet) host(addr string, answer func(m *dns.Msg) *dns.Msg) *fakeHost {
	h := &fakeHost{answer: answer, born: time.Now(), delay: time.Millisecond}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.servers[netip.MustParseAddrPort(addr)] = h
	return h
}

// become changes how the host answers.
func (h *fakeHost) become(answer func(m *dns.Msg) *dns.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *fakeHost) times() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]time.Duration(nil), h.asked...)
}

// tested returns when the host was asked for the IPv4 test entry.
func (h *fakeHost) tested() (at []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, name := range h.names {
		if strings.HasPrefix(name, "2.0.0.127.") {
			at = append(at, h.asked[i])
		}
	}
	return at
}

// take returns how often and with which names the host was asked since the
// last call.
func (h *fakeHost) take() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	names, h.names, h.asked = h.names, nil, nil
	return names
}

func (n *fakeNet) DialUDP(addr netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.servers[addr]
	if h == nil {
		return nil, net.ErrClosed // no route
	}
	return &fakeConn{
		host: h, in: make(chan []byte, 1000), gone: make(chan struct{}),
		late: make(chan struct{}, 1), timer: time.NewTimer(0),
	}, nil
}

func (n *fakeNet) DialTCP(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

type fakeConn struct {
	net.Conn // nil: what is not defined here is not used
	host     *fakeHost
	in       chan []byte
	gone     chan struct{}
	late     chan struct{} // the read deadline has passed
	timer    *time.Timer
	once     sync.Once
}

func (c *fakeConn) Read(b []byte) (int, error) {
	select {
	case p := <-c.in:
		return copy(b, p), nil
	case <-c.late:
		return 0, os.ErrDeadlineExceeded
	case <-c.gone:
		return 0, net.ErrClosed
	}
}

func (c *fakeConn) SetReadDeadline(at time.Time) error {
	c.timer.Stop()
	if !at.IsZero() {
		c.timer = time.AfterFunc(time.Until(at), func() { c.late <- struct{}{} })
	}
	return nil
}

func (c *fakeConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return nil
}

func (c *fakeConn) Write(p []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(p); err != nil {
		panic(err)
	}
	h := c.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, time.Since(h.born))
	h.names = append(h.names, dns.CanonicalName(m.Question[0].Name))
	if h.answer == nil {
		return len(p), nil
	}
	reply := h.answer(m)
	if reply == nil {
		return len(p), nil
	}
	out, err := reply.Pack()
	if err != nil {
		panic(err)
	}
	time.AfterFunc(h.delay, func() {
		select {
		case c.in <- out:
		default:
		}
	})
	return len(p), nil
}

// blocklist answers as a list that holds the names given, each as the labels
// left of the zone, and its test entries.
func blocklist(zone string, names ...string) func(m *dns.Msg) *dns.Msg {
	held := map[string]bool{"2.0.0.127." + zone: true, "test." + zone: true,
		"2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0." + zone: true}
	for _, n := range names {
		held[n+"."+zone] = true
	}
	return func(m *dns.Msg) *dns.Msg {
		r := new(dns.Msg).SetReply(m)
		name := m.Question[0].Name
		if !held[dns.CanonicalName(name)] {
			r.Rcode = dns.RcodeNameError
			rr, _ := dns.NewRR(zone + " 300 SOA ns. host. 1 2 3 4 60")
			r.Ns = append(r.Ns, rr)
			return r
		}
		rr, _ := dns.NewRR(name + " 300 A 127.0.0.2")
		r.Answer = append(r.Answer, rr)
		return r
	}
}

// always answers every question with an address.
func always(addr string) func(m *dns.Msg) *dns.Msg {
	return func(m *dns.Msg) *dns.Msg {
		r := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR(m.Question[0].Name + " 300 A " + addr)
		r.Answer = append(r.Answer, rr)
		return r
	}
}

func failing(rcode int) func(m *dns.Msg) *dns.Msg {
	return func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(m, rcode) }
}

// fakePool returns a pool on a fake network; the bubble must close it.
func fakePool(t testing.TB) (*fakeNet, *Pool) {
	t.Helper()
	n := newFakeNet()
	return n, NewPool(n)
}

func addrs(list ...string) (out []netip.AddrPort) {
	for _, a := range list {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}
