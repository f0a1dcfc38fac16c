package upstream

import (
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// prompt is a connected UDP socket whose system calls never wait, so that Go's
// scheduler need not hear of them: told of a call, it wakes the thread that
// watches for long ones, which costs more than sending a packet.
type prompt struct {
	*net.UDPConn
	raw syscall.RawConn

	writes sync.Mutex
	out    packetCall            // under writes
	write  func(fd uintptr) bool // a method value; making one allocates
}

// packetCall is one read or write.
type packetCall struct {
	number uintptr // of the system call
	buf    []byte
	n      int
	errno  syscall.Errno
}

// try is false when the call would have to wait; the socket is non-blocking.
func (p *packetCall) try(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(p.number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p.buf))), uintptr(len(p.buf)))
		if errno == syscall.EINTR {
			continue
		}
		p.n, p.errno = int(n), errno
		return errno != syscall.EAGAIN
	}
}

// promptly wraps c, which is its owner's no more.
func promptly(c *net.UDPConn) (net.Conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		_ = c.Close() // the first error is the one that counts
		return nil, err
	}
	p := &prompt{UDPConn: c, raw: raw}
	p.out.number = syscall.SYS_WRITE
	p.write = p.out.try
	return p, nil
}

// Each implements eacher. All of it is one Read of the RawConn: each would
// forget what the kernel has told, and have to find out by a system call that
// nothing is there yet.
func (p *prompt) Each(buf []byte, f func(pkt []byte) (more bool)) error {
	in := packetCall{number: syscall.SYS_READ, buf: buf}
	err := p.raw.Read(func(fd uintptr) bool {
		for in.try(fd) {
			if in.errno != 0 {
				return true
			}
			if !f(buf[:in.n]) {
				break
			}
		}
		return false
	})
	if err == nil {
		err = os.NewSyscallError("read", in.errno)
	}
	return err
}

// Write implements net.Conn.
func (p *prompt) Write(b []byte) (int, error) {
	p.writes.Lock()
	defer p.writes.Unlock()
	p.out.buf = b
	err := p.raw.Write(p.write)
	p.out.buf = nil
	if err != nil {
		return 0, err
	}
	if p.out.errno != 0 {
		return 0, os.NewSyscallError("write", p.out.errno)
	}
	return p.out.n, nil
}
