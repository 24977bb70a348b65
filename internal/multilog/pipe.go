package multilog

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipeInput reads from a pipe without taking anything out of it before it is
// written: tee(2) copies what is there into a pipe of our own, without moving
// bytes, and only take removes it. A kill at any moment loses no byte and
// reorders none; what was written and not yet taken is written again by the
// next process.
//
// The beginning of a line whose end has not come stays in the pipe, too. Only
// a line that fills the pipe or the buffer is taken in parts. The pipe must
// have no other reader.
type pipeInput struct {
	fd       int
	flags    int // of the open pipe, as fcntl(2) has them
	signalFD int
	copyTo   int // our own pipe, empty but for the duration of more
	copyFrom int
	null     int // /dev/null; -1 where there is none

	buf   []byte
	owned int  // bytes of buf, at its start, that are no longer in the pipe
	full  bool // nothing more can be seen before something is taken
}

// newPipeInput returns nil where fd is no pipe, or one that is too small or
// cannot be copied.
func newPipeInput(fd, signalFD int) (input, error) {
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil || size < 2*os.Getpagesize() {
		return nil, nil
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETOWN, os.Getpid()); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	var own [2]int
	if err := unix.Pipe2(own[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	// Ours is smaller than the pipe, so that it is full before the pipe is. It
	// cannot be made larger where the user has too many pipes.
	unix.FcntlInt(uintptr(own[1]), unix.F_SETPIPE_SZ, min(size/2, bufferSize))
	copied, err := unix.FcntlInt(uintptr(own[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil || copied >= size || !canTee(fd, own[1]) {
		unix.Close(own[0])
		unix.Close(own[1])
		return nil, nil
	}
	null, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		null = -1
	}
	return &pipeInput{
		fd:       fd,
		flags:    flags &^ unix.O_ASYNC,
		signalFD: signalFD,
		copyTo:   own[1],
		copyFrom: own[0],
		null:     null,
		buf:      make([]byte, 0, copied+1),
	}, nil
}

// canTee tells whether tee(2) is there and allowed, by a copy of nothing.
func canTee(from, to int) bool {
	_, err := unix.Tee(from, to, 0, unix.SPLICE_F_NONBLOCK)
	return err == nil
}

func (p *pipeInput) more(bool) error {
	if p.full {
		p.claim()
	}
	if inPipe := len(p.buf) - p.owned; inPipe > 0 {
		return p.moreThan(inPipe)
	}
	for {
		err := p.look()
		if err != unix.EAGAIN {
			return err
		}
		if _, err := p.wait(unix.POLLIN, -1); err != nil {
			return err
		}
	}
}

// moreThan is more for a pipe of which inPipe bytes were seen. It is readable
// all the time, and the wakening that poll(2) gets at a write(2) would not do
// either: it does not come where the pipe was not empty and the write has to
// wait for room. The signal for O_ASYNC does come.
func (p *pipeInput) moreThan(inPipe int) error {
	const second = 1000 // Linux 5.5 to 5.13 do not signal each write
	closed := false
	for async := false; ; async = true {
		available, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ)
		if err != nil {
			return io.EOF
		}
		if available > inPipe {
			err := p.look()
			p.full = len(p.buf)-p.owned == inPipe
			return err
		}
		if closed {
			return io.EOF
		}
		if !async {
			unix.FcntlInt(uintptr(p.fd), unix.F_SETFL, p.flags|unix.O_ASYNC)
			defer unix.FcntlInt(uintptr(p.fd), unix.F_SETFL, p.flags)
			continue
		}
		if closed, err = p.wait(0, second); err != nil {
			return err
		}
	}
}

// wait waits for one of events, for the last writer to close the pipe, for a
// signal (errSignal), or for the end of timeout (in milliseconds).
func (p *pipeInput) wait(events int16, timeout int) (closed bool, err error) {
	ready := []unix.PollFd{
		{Fd: int32(p.fd), Events: events},
		{Fd: int32(p.signalFD), Events: unix.POLLIN},
	}
	if _, err := unix.Poll(ready, timeout); err != nil && err != unix.EINTR {
		return false, io.EOF
	}
	if ready[1].Revents != 0 {
		return false, errSignal
	}
	return ready[0].Revents&unix.POLLHUP != 0, nil
}

// look makes what is in the pipe the tail of buf. It returns unix.EAGAIN
// where nothing is, and io.EOF where nothing will be.
func (p *pipeInput) look() error {
	seen, err := unix.Tee(p.fd, p.copyTo, cap(p.buf)-1-p.owned, unix.SPLICE_F_NONBLOCK)
	if err == unix.EAGAIN || err == unix.EINTR {
		return unix.EAGAIN
	}
	if err != nil || seen == 0 {
		return io.EOF
	}
	p.buf = p.buf[:p.owned+int(seen)]
	for rest := p.buf[p.owned:]; len(rest) > 0; {
		n, err := unix.Read(p.copyFrom, rest)
		if err != nil && err != unix.EINTR {
			return io.EOF
		}
		rest = rest[max(n, 0):]
	}
	return nil
}

func (p *pipeInput) data() []byte { return p.buf }

func (p *pipeInput) take(n int) {
	p.remove(n - p.owned)
	p.owned = max(p.owned-n, 0)
	p.buf = p.buf[:copy(p.buf, p.buf[n:])]
	p.full = false
}

// claim takes what was seen out of the pipe and keeps it in buf: fragments of
// a line that fill the pipe, though they are few bytes.
func (p *pipeInput) claim() {
	p.remove(len(p.buf) - p.owned)
	p.owned = len(p.buf)
	p.full = false
}

// remove takes n bytes out of the pipe.
func (p *pipeInput) remove(n int) {
	var scratch [4096]byte
	for n > 0 {
		if p.null >= 0 {
			gone, err := unix.Splice(p.fd, nil, p.null, nil, n, 0)
			if err == nil && gone > 0 {
				n -= int(gone)
			} else if err != unix.EINTR {
				p.null = -1
			}
			continue
		}
		gone, err := unix.Read(p.fd, scratch[:min(n, len(scratch))])
		if err == nil && gone > 0 {
			n -= gone
		} else if err != unix.EINTR {
			return
		}
	}
}

func (p *pipeInput) mayWait(n int) bool { return n > 0 || !p.full }
