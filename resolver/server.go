package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// ServerOptions say where a Server listens and how much it takes.
type ServerOptions struct {
	Resolver *Resolver
	Log      *slog.Logger // nil: no log

	// Listen are the addresses, each for UDP and TCP.
	Listen []netip.AddrPort

	// Inherited are sockets that somebody else has bound (systemd).
	InheritedUDP []*net.UDPConn
	InheritedTCP []*net.TCPListener

	// Workers is how many goroutines read UDP for each address; 0 means
	// [DefaultWorkers].
	Workers int

	// Tap, if not nil, sees what clients ask and are answered.
	Tap Tap
}

// Server carries packets between sockets and a Resolver.
type Server struct {
	r    *Resolver
	log  *slog.Logger
	tap  Tap // may be nil
	udp  []*udpSocket
	tcp  []net.Listener
	max  *shares // of the TCP connections of clients that may ask
	wait sync.WaitGroup

	strangers *shares // likewise of others

	pending sync.WaitGroup // questions that were read and not answered yet
	queued  atomic.Int64   // octets of answers over TCP that wait for clients

	mu       sync.Mutex
	conns    map[*tcpConn]struct{}
	stopping bool // read deadlines are in the past and stay there
}

// Listen binds all addresses. TCP comes first and is not shared, so that a
// second instance fails here instead of stealing questions from the first.
func Listen(o ServerOptions) (*Server, error) {
	s := &Server{
		r: o.Resolver, log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), tap: o.Tap,
		max: newShares(tcpClients), strangers: newShares(tcpStrangers),
		conns: make(map[*tcpConn]struct{}),
	}
	for _, l := range o.InheritedTCP {
		s.tcp = append(s.tcp, l)
	}
	for _, c := range o.InheritedUDP {
		if err := s.addUDP(c); err != nil {
			s.Close()
			return nil, err
		}
	}
	for _, at := range o.Listen {
		if err := s.bind(at, cmp.Or(o.Workers, DefaultWorkers())); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

func (s *Server) bind(at netip.AddrPort, workers int) error {
	// A listener serves one family, so that 0.0.0.0 and [::] can stand side
	// by side.
	family := "4"
	if at.Addr().Is6() {
		family = "6"
	}
	l, err := net.ListenTCP("tcp"+family, net.TCPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("listening on %s over TCP: %w", at, err)
	}
	s.tcp = append(s.tcp, l)
	// Port 0 is the kernel's choice; UDP follows TCP.
	at = netip.AddrPortFrom(at.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	lc := net.ListenConfig{Control: reusePort}
	for range workers {
		c, err := lc.ListenPacket(context.Background(), "udp"+family, at.String())
		if err != nil {
			return fmt.Errorf("listening on %s over UDP: %w", at, err)
		}
		if err := s.addUDP(c.(*net.UDPConn)); err != nil {
			return err
		}
	}
	return nil
}

// receiveBuffer is what the kernel may hold for a socket while its reader is
// busy, in octets: some thousand questions.
const receiveBuffer = 1 << 20

func (s *Server) addUDP(c *net.UDPConn) error {
	// The kernel may grant less, which is no reason not to serve.
	if err := c.SetReadBuffer(receiveBuffer); err != nil {
		s.log.Warn("receive buffer not set", slog.Any("error", err))
	}
	u, err := newUDPSocket(s, c, len(s.udp))
	if err != nil {
		return err
	}
	s.udp = append(s.udp, u)
	return nil
}

// Addrs returns the addresses that are served over TCP, and but for inherited
// sockets over UDP too.
func (s *Server) Addrs() []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range s.tcp {
		out = append(out, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return out
}

// Serve answers until ctx is done. Then it reads nothing more, answers what
// was read, at most for grace, and closes the sockets.
func (s *Server) Serve(ctx context.Context, grace time.Duration) error {
	errs := make(chan error, len(s.udp)+len(s.tcp))
	for _, u := range s.udp {
		s.wait.Go(func() { errs <- u.serve() })
	}
	for _, l := range s.tcp {
		s.wait.Go(func() {
			s.accept(l)
			errs <- nil
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-errs:
		// A socket that breaks while it should serve ends the server: its
		// supervisor starts it anew.
	}
	s.stopReading()
	s.drain(grace)
	s.Close()
	s.wait.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stopReading makes every reader return, with its socket open for answers.
func (s *Server) stopReading() {
	past := time.Unix(1, 0)
	for _, u := range s.udp {
		_ = u.conn.SetReadDeadline(past) // fails only on a closed socket
	}
	for _, l := range s.tcp {
		_ = l.Close() // likewise
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for c := range s.conns {
		_ = c.conn.SetReadDeadline(past)
	}
}

// drain waits for the readers, and then for the questions that they read.
func (s *Server) drain(grace time.Duration) {
	done := make(chan struct{})
	go func() {
		s.wait.Wait()
		s.pending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(grace):
		s.log.Warn("left with questions unanswered")
	}
}

// Close closes every socket at once. What it closes may be closed already.
func (s *Server) Close() {
	for _, u := range s.udp {
		_ = u.conn.Close()
	}
	for _, l := range s.tcp {
		_ = l.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.conn.Close()
	}
}
