package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is the most packets that one system call sends or reads.
const batchSize = 64

// maxPacket is the room for one packet, in octets.
const maxPacket = 512

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// socket is a connected UDP socket with the memory for one batch each way. It
// must not move: the headers hold addresses in it.
type socket struct {
	fd      int
	in, out [batchSize]mmsghdr
	vecs    [2][batchSize]unix.Iovec
	packets [2][batchSize][maxPacket]byte
	queued  int

	next uint16         // ID of the next question
	due  [1 << 16]int64 // since when each ID's answer is awaited, in ns; 0: it is not
	left int            // answers that are awaited
}

func newSocket(server netip.AddrPort) (*socket, error) {
	if !server.Addr().Is4() {
		return nil, fmt.Errorf("asking %s: only IPv4 addresses are asked", server)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	// A large burst of answers must not be lost here; the kernel may grant less.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connecting to %s: %w", server, err)
	}
	s := &socket{fd: fd}
	for dir, headers := range []*[batchSize]mmsghdr{&s.in, &s.out} {
		for i := range headers {
			vec := &s.vecs[dir][i]
			vec.Base = &s.packets[dir][i][0]
			vec.SetLen(maxPacket)
			headers[i].hdr.Iov = vec
			headers[i].hdr.SetIovlen(1)
		}
	}
	return s, nil
}

// queue puts one question into the batch, to be counted from due on, and sends
// a batch that is full.
func (s *socket) queue(z Zone, addr uint32, typ uint16, due int64) error {
	pkt := z.Append(s.packets[1][s.queued][:0], s.next, addr, typ)
	s.vecs[1][s.queued].SetLen(len(pkt))
	s.queued++
	if s.due[s.next] == 0 {
		s.left++
	}
	s.due[s.next] = due
	s.next++
	if s.queued == batchSize {
		return s.flush()
	}
	return nil
}

// flush sends the batch.
func (s *socket) flush() error {
	for sent := 0; sent < s.queued; {
		var n uintptr
		var errno syscall.Errno
		if s.queued-sent == 1 {
			n = 1
			_, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
				uintptr(unsafe.Pointer(&s.packets[1][sent][0])), uintptr(s.vecs[1][sent].Len), 0, 0, 0)
		} else {
			n, _, errno = syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
				uintptr(unsafe.Pointer(&s.out[sent])), uintptr(s.queued-sent), 0, 0, 0)
		}
		switch errno {
		case 0:
			sent += int(n)
		case syscall.EINTR, syscall.EAGAIN:
		case syscall.ECONNREFUSED:
			sent++ // the kernel tells of an earlier one; this one counts as lost
		default:
			return fmt.Errorf("sending questions: %w", errno)
		}
	}
	s.queued = 0
	return nil
}

// receive reads what is waiting into the batch and returns how many packets.
// A lone packet is read with recvfrom, which is cheaper.
func (s *socket) receive(many bool) int {
	if !many {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.packets[0][0][0])), maxPacket, 0, 0, 0)
		if errno != 0 {
			return 0
		}
		s.in[0].n = uint32(n)
		return 1
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd),
		uintptr(unsafe.Pointer(&s.in[0])), batchSize, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// take accounts for packet i of those received; ok is false when it answers
// nothing.
func (s *socket) take(i int) (due int64, rcode uint8, ok bool) {
	pkt := s.packets[0][i][:s.in[i].n]
	if len(pkt) < 12 || pkt[2]&0x80 == 0 {
		return 0, 0, false
	}
	id := binary.BigEndian.Uint16(pkt)
	due = s.due[id]
	if due == 0 {
		return 0, 0, false
	}
	s.due[id] = 0
	s.left--
	return due, pkt[3] & 0xf, true
}

// forget gives up what is awaited and returns how much that was.
func (s *socket) forget() int {
	n := s.left
	clear(s.due[:])
	s.left = 0
	return n
}

func (s *socket) close() { _ = unix.Close(s.fd) }
