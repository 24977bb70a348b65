package queue

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// maxSocketPath is the longest path, in bytes, that a socket address holds.
	maxSocketPath = 107

	// backlog is how many submitters may wait to be accepted.
	backlog = 4096
)

// withAddress calls do with an address for the socket at path: where the path
// is too long for an address, one that goes through its open directory.
func withAddress(path string, do func(*unix.SockaddrUnix) error) error {
	if len(path) <= maxSocketPath {
		return do(&unix.SockaddrUnix{Name: path})
	}
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return do(&unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)})
}

// dial connects to the unix stream socket at path. Where its backlog is full
// it waits.
func dial(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// A connect that does not block would fail at once with a full backlog.
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: int64(patience.Seconds())})
	if err == nil {
		err = withAddress(path, func(address *unix.SockaddrUnix) error {
			for {
				if err := unix.Connect(fd, address); err != unix.EINTR {
					return err
				}
			}
		})
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "connect", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// listen binds a unix stream socket that everybody may connect to, puts it at
// path in place of what is there, and listens on it.
func listen(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	made := path + ".new"
	os.Remove(made)
	err = withAddress(made, func(address *unix.SockaddrUnix) error { return unix.Bind(fd, address) })
	if err == nil {
		err = os.Chmod(made, 0o666)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		unix.Close(fd)
		os.Remove(made)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}
