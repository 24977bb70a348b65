package cdb

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// An identity tells one content of a name from the next.
type identity struct {
	major, minor uint32 // of the device
	inode        uint64
	size         uint64
	seconds      int64 // of the last modification
	nanoseconds  uint32
}

// identify returns the identity of the file at path, which ends in a NUL. It
// is unix.Statx but for the allocation.
func identify(path []byte) (identity, error) {
	at := unix.AT_FDCWD
	var s unix.Statx_t
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(at), uintptr(unsafe.Pointer(&path[0])), 0,
		unix.STATX_INO|unix.STATX_SIZE|unix.STATX_MTIME, uintptr(unsafe.Pointer(&s)), 0)
	if errno != 0 {
		return identity{}, errno
	}
	return identity{s.Dev_major, s.Dev_minor, s.Ino, s.Size, s.Mtime.Sec, s.Mtime.Nsec}, nil
}
