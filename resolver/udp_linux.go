package resolver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"dnsblproxy/resolver/internal/spare"
	"dnsblproxy/resolver/internal/wire"
)

// batchSize is the most packets that one system call reads or writes. A batch
// is whatever is waiting already, so a lone packet never waits for company.
const batchSize = 32

// turnBatches is how many batches are answered before the reader looks whether
// its socket was closed, if packets never cease.
const turnBatches = 64

// maxQuery is the room for a question, in octets. EDNS options can make one
// long; nothing honest exceeds this.
const maxQuery = 4096

// stride is the distance of two questions in memory, in octets. Were it a power
// of two, all of a batch would meet in one set of the first-level cache.
const stride = maxQuery + 192

// controlSize is the room for one IP_PKTINFO or IPV6_PKTINFO message.
const controlSize = 64

// udpSocket reads questions from one socket and writes their answers.
type udpSocket struct {
	s        *Server
	conn     *net.UDPConn
	raw      syscall.RawConn
	tapped   tapped
	shard    int
	wildcard bool // answers must name the address that was asked
	lates    spare.List[late]
}

// DefaultWorkers is one for each processor that the program may use, 8 at most.
func DefaultWorkers() int { return min(runtime.GOMAXPROCS(0), 8) }

// reusePort lets several sockets share an address, one for each worker.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); e != nil {
		return e
	}
	return err
}

func newUDPSocket(s *Server, c *net.UDPConn, shard int) (*udpSocket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("using a UDP socket: %w", err)
	}
	u := &udpSocket{s: s, conn: c, raw: raw, tapped: tapped{s.tap, portOf(c.LocalAddr()), false}, shard: shard % (s.r.stats.shards - 1)}
	local := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	u.wildcard = local.IsUnspecified()
	if !u.wildcard {
		return u, nil
	}
	level, opt := unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	if local.Is4() {
		level, opt = unix.IPPROTO_IP, unix.IP_PKTINFO
	}
	if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, opt, 1) }); e != nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the destination of packets: %w", err)
	}
	return u, nil
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// batch is the memory of the packets that are read, and of the answers that
// are written, with one system call each. It must not move: the headers hold
// addresses in it.
type batch struct {
	in, out   [batchSize]mmsghdr
	inVec     [batchSize]unix.Iovec
	outVec    [batchSize]unix.Iovec
	names     [batchSize]unix.RawSockaddrInet6
	control   [batchSize][controlSize]byte
	packets   [batchSize][stride]byte
	answers   [batchSize][]byte
	wildcard  bool
	nIn, nOut int
	sent      int
	readErr   syscall.Errno
	writeErr  syscall.Errno
	watch     watch

	send func(fd uintptr) bool // a method value; making one allocates
}

func newBatch(wildcard bool) *batch {
	b := &batch{wildcard: wildcard}
	for i := range batchSize {
		b.answers[i] = make([]byte, 0, wire.MaxUDP)
		b.inVec[i].Base = &b.packets[i][0]
		b.inVec[i].SetLen(maxQuery)
		h := &b.in[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.inVec[i]
		h.SetIovlen(1)
		if wildcard {
			h.Control = &b.control[i][0]
		}
		b.out[i].hdr.Iov = &b.outVec[i]
		b.out[i].hdr.SetIovlen(1)
		b.reset(i)
	}
	b.send = b.trySend
	return b
}

// tryRecv reads what is waiting, or what comes while it is worth watching;
// false when nothing does. It looks so often at least. The calls do not wait,
// so Go's scheduler need not hear of them.
func (b *batch) tryRecv(fd uintptr, least int) bool {
	looks := max(b.watch.looks(b.nIn), least)
	for i := range max(b.nIn, 1) {
		b.reset(i)
	}
	b.nIn = 0
	for i := range looks {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		b.readErr = errno
		if errno == syscall.EAGAIN || errno == syscall.EINTR {
			continue
		}
		if errno == 0 {
			b.nIn = int(n)
			b.watch.found(i)
		}
		return true
	}
	b.watch.missed(looks)
	return false
}

// reset gives header i its lengths back, which the kernel overwrote.
func (b *batch) reset(i int) {
	h := &b.in[i].hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.Flags = 0
	if b.wildcard {
		h.SetControllen(controlSize)
	}
}

// trySend writes the answers that are left; false when the socket is full.
func (b *batch) trySend(fd uintptr) bool {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[b.sent])), uintptr(b.nOut-b.sent), unix.MSG_DONTWAIT, 0, 0)
	b.writeErr = errno
	if errno == syscall.EAGAIN {
		return false
	}
	if errno == 0 {
		b.sent += int(n)
	}
	return true
}

// client is the sender of packet i.
func (b *batch) client(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), port)
}

// queue has answer go back to the sender of packet i.
func (b *batch) queue(i int, answer []byte) {
	out := &b.out[b.nOut].hdr
	out.Name, out.Namelen = b.in[i].hdr.Name, b.in[i].hdr.Namelen
	out.Control, out.Controllen = nil, 0
	if oob := b.source(i); oob != nil {
		out.Control, out.Controllen = &oob[0], b.in[i].hdr.Controllen
	}
	b.outVec[b.nOut].Base = &answer[0]
	b.outVec[b.nOut].SetLen(len(answer))
	b.nOut++
}

// source is the control message that makes an answer leave from the address
// that packet i was sent to: the kernel's own, less the interface, which the
// routing table knows better unless the address is link-local.
func (b *batch) source(i int) []byte {
	n := int(b.in[i].hdr.Controllen)
	if !b.wildcard || n < unix.SizeofCmsghdr {
		return nil
	}
	oob := b.control[i][:n]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		(*unix.Inet4Pktinfo)(unsafe.Pointer(&oob[unix.CmsgLen(0)])).Ifindex = 0
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&oob[unix.CmsgLen(0)]))
		if !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
	}
	return oob
}

// serve answers packets until the socket is closed or its read deadline set.
func (u *udpSocket) serve() error {
	b, sc := newBatch(u.wildcard), NewScratch(u.shard)
	turn := func(fd uintptr) bool { return u.turn(b, sc, fd) }
	for {
		err := u.raw.Read(turn)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		case b.failed():
			return fmt.Errorf("reading packets: %w", b.readErr)
		}
	}
}

// turn answers what comes, one batch after the other; false when nothing does
// and it is to be called again once something has. In between Go's poller keeps
// what happens to the socket, so that a lone packet need not be followed by a
// look that finds nothing. Between two turns it does not.
func (u *udpSocket) turn(b *batch, sc *Scratch, fd uintptr) bool {
	least := 1
	for range turnBatches {
		if !b.tryRecv(fd, least) {
			return false
		}
		least = 0
		if b.failed() {
			return true
		}
		b.nOut = 0
		for i := range b.nIn {
			u.answer(b, sc, i)
		}
		u.write(b, fd)
	}
	return true
}

// failed reports whether the socket is of no use any more. An ICMP error that
// an earlier answer met is reported once and is none of that.
func (b *batch) failed() bool { return b.readErr != 0 && b.readErr != syscall.ECONNREFUSED }

// answer answers packet i now, or sees that it is answered later.
func (u *udpSocket) answer(b *batch, sc *Scratch, i int) {
	if b.in[i].hdr.Flags&unix.MSG_TRUNC != 0 {
		return
	}
	pkt, from := b.packets[i][:b.in[i].n], b.client(i)
	u.tapped.query(pkt, from)
	sc.out = b.answers[b.nOut][:0]
	out, done := u.s.r.Respond(sc, pkt, from.Addr(), false)
	b.answers[b.nOut] = sc.out // it may have grown
	switch {
	case !done:
		u.later(b, sc, i, pkt, from)
	case len(out) > 0:
		u.tapped.answer(out, from)
		b.queue(i, out)
	}
}

// later sends the answer when it is there, from whatever goroutine has it.
func (u *udpSocket) later(b *batch, sc *Scratch, i int, pkt []byte, from netip.AddrPort) {
	l := u.lates.Get()
	if l == nil {
		l = &late{u: u}
		l.reply, l.send = l.give, l.trySend
	}
	l.from, l.name, l.nameLen, l.oob = from, b.names[i], b.in[i].hdr.Namelen, append(l.oob[:0], b.source(i)...)
	u.s.pending.Add(1)
	u.s.r.Await(sc, pkt, from.Addr(), false, l.reply)
}

// late is an answer that its question had to wait for. It is used again.
type late struct {
	u       *udpSocket
	from    netip.AddrPort
	name    unix.RawSockaddrInet6
	nameLen uint32
	oob     []byte
	out     []byte

	// reply and send are method values made once; making one allocates.
	reply func([]byte)
	send  func(fd uintptr) bool
}

// give sends the answer. It is called once for each use.
func (l *late) give(out []byte) {
	u := l.u
	defer u.s.pending.Done()
	if len(out) > 0 {
		u.tapped.answer(out, l.from)
		l.out = out
		// An answer that cannot be sent is lost like any UDP packet.
		_ = u.raw.Write(l.send)
	}
	l.out = nil
	u.lates.Put(l)
}

// trySend sends it; false when the socket is full.
func (l *late) trySend(fd uintptr) bool {
	if len(l.oob) == 0 {
		_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&l.out[0])), uintptr(len(l.out)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&l.name)), uintptr(l.nameLen))
		return errno != syscall.EAGAIN
	}
	var iov unix.Iovec
	iov.Base = &l.out[0]
	iov.SetLen(len(l.out))
	h := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&l.name)), Namelen: l.nameLen, Iov: &iov}
	h.SetIovlen(1)
	h.Control = &l.oob[0]
	h.SetControllen(len(l.oob))
	_, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	return errno != syscall.EAGAIN
}

// write sends the queued answers. One that the kernel will not send must not
// keep the others back.
func (u *udpSocket) write(b *batch, fd uintptr) {
	b.sent = 0
	for b.sent < b.nOut {
		if !b.trySend(fd) && u.raw.Write(b.send) != nil {
			return
		}
		if b.writeErr != 0 {
			b.sent++
		}
	}
}
