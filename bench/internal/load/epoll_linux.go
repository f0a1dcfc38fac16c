package load

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysEpollPwait2 is the number of epoll_pwait2(2), the same on every
// architecture: it waits for less than a millisecond too.
const sysEpollPwait2 = 441

// epollPwait2 waits for at most ts. A wait of no time does not leave the
// processor to the Go scheduler.
func epollPwait2(epoll int, events []unix.EpollEvent, ts *unix.Timespec) (int, error) {
	call := syscall.Syscall6
	if ts.Sec == 0 && ts.Nsec == 0 {
		call = syscall.RawSyscall6
	}
	n, _, errno := call(sysEpollPwait2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
