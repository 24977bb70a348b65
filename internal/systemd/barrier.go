package systemd

import (
	"os"

	"golang.org/x/sys/unix"
)

// Barrier waits until systemd has taken what this process told it so far. A
// process that tells and ends needs that: systemd finds out who told something
// while that one is there.
func Barrier() error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	var fence [2]int
	if err := unix.Pipe2(fence[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(fence[0])
	err = unix.Sendmsg(socket, []byte("BARRIER=1"), unix.UnixRights(fence[1]), &unix.SockaddrUnix{Name: address}, unix.MSG_NOSIGNAL)
	unix.Close(fence[1])
	if err != nil {
		return err
	}
	// systemd closes its end when it has come to this message
	for {
		if _, err := unix.Read(fence[0], make([]byte, 1)); err != unix.EINTR {
			return err
		}
	}
}
