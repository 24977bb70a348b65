package multilog

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// lineLimit is how many bytes of a line, its label included, are matched
// against patterns, sent to standard error and written to status files.
const lineLimit = 1000

// bufferSize is how much of the input is looked at in one go, at most.
const bufferSize = 64 << 10

// errSignal says that a signal came while waiting for input.
var errSignal = errors.New("interrupted by a signal")

// An input is what the lines are read from.
type input interface {
	// more waits until data has grown, and returns nil; io.EOF where it never
	// will again; or errSignal. With slow, it grows by one byte only where
	// bytes that were read cannot be left for the next reader.
	more(slow bool) error
	// data returns the bytes that were seen and not taken yet. There is room
	// for one more byte behind them. They stay good until the next call of
	// more or take.
	data() []byte
	// take removes the first n bytes of data, at least one: they are written.
	take(n int)
	// mayWait tells whether the tail that is left of data behind its first n
	// bytes, the beginning of a line, should be left there until more of the
	// line is seen.
	mayWait(n int) bool
}

// newInput returns the input that reads the descriptor fd and that returns
// errSignal when signalFD is readable.
func newInput(fd, signalFD int) (input, error) {
	if in, err := newPipeInput(fd, signalFD); in != nil || err != nil {
		return in, err
	}
	return &plainInput{fd: fd, signalFD: signalFD, buf: make([]byte, 0, bufferSize+1)}, nil
}

// plainInput reads from anything that is not a pipe. What was read and is
// not written is lost when the process is killed, as in the classic program.
type plainInput struct {
	fd, signalFD int
	buf          []byte
}

func (p *plainInput) more(slow bool) error {
	ready := []unix.PollFd{
		{Fd: int32(p.fd), Events: unix.POLLIN},
		{Fd: int32(p.signalFD), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(ready, -1)
		if err == unix.EINTR {
			continue
		}
		if err == nil && ready[1].Revents != 0 {
			return errSignal
		}
		to := bufferSize
		if slow {
			to = len(p.buf) + 1
		}
		n, err := unix.Read(p.fd, p.buf[len(p.buf):to])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n == 0 {
			return io.EOF // the classic program takes an error for the end, too
		}
		p.buf = p.buf[:len(p.buf)+n]
		return nil
	}
}

func (p *plainInput) data() []byte { return p.buf }

func (p *plainInput) take(n int) {
	p.buf = p.buf[:copy(p.buf, p.buf[n:])]
}

// mayWait is always false: a tail in memory is safer on disk.
func (p *plainInput) mayWait(int) bool { return false }
