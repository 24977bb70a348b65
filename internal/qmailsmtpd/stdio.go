package qmailsmtpd

import (
	"io"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A stdio is a client on descriptors 0 and 1, which may be anything that can
// be polled, and which other processes may share.
type stdio struct {
	timeout time.Duration
}

func (s *stdio) setTimeout(d time.Duration) {
	s.timeout = d
}

// ReadIdle implements smtp.Conn. The program never stops by itself.
func (s *stdio) ReadIdle(p []byte) (int, error) {
	return s.Read(p)
}

func (s *stdio) Read(p []byte) (int, error) {
	for {
		if err := s.await(0, unix.POLLIN); err != nil {
			return 0, err
		}
		switch n, err := unix.Read(0, p); {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s *stdio) Write(p []byte) (written int, err error) {
	for written < len(p) {
		if err := s.await(1, unix.POLLOUT); err != nil {
			return written, err
		}
		switch n, err := unix.Write(1, p[written:]); {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return written, err
		default:
			written += n
		}
	}
	return written, nil
}

// await waits until fd is ready.
func (s *stdio) await(fd int32, events int16) error {
	deadline := time.Now().Add(s.timeout)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		fds := []unix.PollFd{{Fd: fd, Events: events}}
		milliseconds := min((left+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
		n, err := unix.Poll(fds, int(milliseconds))
		if err != nil && err != unix.EINTR {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}
