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
	raw           syscall.RawConn
	reads, writes sync.Mutex
	in, out       packetCall // under these
}

// packetCall is one read or write.
type packetCall struct {
	number uintptr // of the system call
	buf    []byte
	n      int
	errno  syscall.Errno
	do     func(fd uintptr) bool // a method value; making one allocates
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
	p.in.number, p.out.number = syscall.SYS_READ, syscall.SYS_WRITE
	p.in.do, p.out.do = p.in.try, p.out.try
	return p, nil
}

// Read implements net.Conn.
func (p *prompt) Read(b []byte) (int, error) {
	p.reads.Lock()
	defer p.reads.Unlock()
	return p.in.run("read", b, p.raw.Read)
}

// Write implements net.Conn.
func (p *prompt) Write(b []byte) (int, error) {
	p.writes.Lock()
	defer p.writes.Unlock()
	return p.out.run("write", b, p.raw.Write)
}

func (p *packetCall) run(name string, b []byte, on func(func(uintptr) bool) error) (int, error) {
	p.buf = b
	err := on(p.do)
	p.buf = nil
	if err != nil {
		return 0, err
	}
	if p.errno != 0 {
		return 0, os.NewSyscallError(name, p.errno)
	}
	return p.n, nil
}
