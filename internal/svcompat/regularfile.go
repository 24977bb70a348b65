package svcompat

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openRegular opens the regular file path, which is no symbolic link, and
// says what fstat(2) says. It does not wait for anybody.
func openRegular(path string, flags int) (fd int, info unix.Stat_t, err error) {
	fd, err = unix.Open(path, flags|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return -1, info, err
	}
	if err = unix.Fstat(fd, &info); err == nil && info.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("not a regular file")
	}
	if err != nil {
		unix.Close(fd)
		return -1, info, err
	}
	return fd, info, nil
}
