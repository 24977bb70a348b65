package svcompat

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// These system calls do not tell Go's scheduler: it would put the processor
// in other hands and wake its monitor for calls that last a microsecond, of
// which svstat makes thousands. Only what cannot block may be called so.

// rawAccess looks for the file path, which ends in a NUL byte.
func rawAccess(path []byte) error {
	cwd := unix.AT_FDCWD
	_, _, errno := unix.RawSyscall(unix.SYS_FACCESSAT, uintptr(cwd), uintptr(unsafe.Pointer(&path[0])), unix.F_OK)
	if errno != 0 {
		return errno
	}
	return nil
}

// rawOpen opens the file path, which ends in a NUL byte.
func rawOpen(path []byte, flags int) (int, error) {
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd),
		uintptr(unsafe.Pointer(&path[0])), uintptr(flags|unix.O_NONBLOCK|unix.O_CLOEXEC), 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func rawRead(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// A closer closes descriptors many at a time. It keeps their number below
// that at which the kernel has to make its table larger.
type closer struct {
	waiting [32]int
	n       int
}

// close closes fd, now or later.
func (c *closer) close(fd int) {
	c.waiting[c.n] = fd
	c.n++
	if c.n == len(c.waiting) {
		c.flush()
	}
}

// flush closes what waits.
func (c *closer) flush() {
	for i := 0; i < c.n; {
		first := c.waiting[i]
		next := first
		for ; i < c.n && c.waiting[i] == next; i++ {
			next++
		}
		closeRange(first, next-1)
	}
	c.n = 0
}

func closeRange(first, last int) {
	_, _, errno := unix.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(first), uintptr(last), 0)
	if errno == 0 {
		return
	}
	for fd := first; fd <= last; fd++ { // before Linux 5.9
		unix.Close(fd)
	}
}
