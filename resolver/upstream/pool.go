package upstream

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"dnsblproxy/resolver/internal/spare"
)

// Stats are counts since the pool was made.
type Stats struct {
	Mismatched atomic.Uint64 // answers dropped: unknown ID, other question, malformed
	Bursts     atomic.Uint64 // questions repeated over TCP after several of these
	Truncated  atomic.Uint64 // questions repeated over TCP after a cut answer
	PlainCase  atomic.Uint64 // questions repeated because a server changed the name's case
	PlainDNS   atomic.Uint64 // questions repeated without EDNS
}

// Pool owns the sockets to a set of servers and the goroutines that read
// them. Exchangers of one pool share the sockets of servers they share. Its
// methods are safe for concurrent use.
type Pool struct {
	Stats Stats

	network Network
	rnd     *entropy
	free    spare.List[flight]

	sockets    int           // per server, over UDP, opened as they are needed; a question goes out on a random one, or on that of one that waits
	socketAge  time.Duration // for so long, and
	socketUses int           // so many questions, is a socket used, and so its port

	ctx  context.Context // ends dials when the pool closes
	stop context.CancelFunc
	gate *gate // of readers, and of flights until done has returned

	// servers are forgotten with the last who may ask them: a list's own name
	// servers are for the list to name, and may be others each time.
	mu      sync.Mutex
	servers map[netip.AddrPort]weak.Pointer[server]
	sweepAt int // so many: those that are gone are taken out
}

// leastSweep is how many servers are remembered before one looks which are gone.
const leastSweep = 1024

// NewPool returns a pool that has opened nothing yet. network opens its
// connections; nil is the machine's own.
func NewPool(network Network) *Pool {
	if network == nil {
		network = systemNetwork{}
	}
	p := &Pool{
		network: network, sockets: 8, socketAge: 30 * time.Second, socketUses: 4096,
		rnd: newEntropy(), gate: newGate(),
		servers: make(map[netip.AddrPort]weak.Pointer[server]), sweepAt: leastSweep,
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close ends every question that is out with ErrClosed, closes the sockets,
// and returns when no callback runs any more and no goroutine is left. It must
// not be called from a callback.
func (p *Pool) Close() {
	p.gate.shut()
	p.mu.Lock()
	servers := make([]*server, 0, len(p.servers))
	for _, w := range p.servers {
		if s := w.Value(); s != nil { // one with an open socket is not gone
			servers = append(servers, s)
		}
	}
	p.mu.Unlock()
	p.stop()
	for _, s := range servers {
		s.shut()
	}
	p.gate.wait()
}

// server returns the pool's one server of that address.
func (p *Pool) server(addr netip.AddrPort) *server {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.servers[addr].Value(); s != nil {
		return s
	}
	if len(p.servers) >= p.sweepAt {
		maps.DeleteFunc(p.servers, func(_ netip.AddrPort, w weak.Pointer[server]) bool { return w.Value() == nil })
		p.sweepAt = max(leastSweep, 2*len(p.servers))
	}
	s := newServer(p, addr)
	p.servers[addr] = weak.Make(s)
	return s
}
