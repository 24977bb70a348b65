package filters

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// packet is how much is read at once.
const packet = 256

// copyWord is the first word of the command line of the process that copies,
// where another has the name of a program.
const copyWord = "--copy"

// between is the body of a command that stands between a program and
// descriptors 0 and 1. This process becomes the program; a child of it, which
// is the same command again, copies.
func between(name string, args []string, filters func(id int) (in, out filter)) int {
	if len(args) < 2 {
		return command.Usage(name, name+" program [ arg ... ]")
	}
	if args[1] == copyWord && len(args) == 3 {
		program, _ := command.ScanNumber(args[2])
		in, out := filters(int(program))
		unix.Close(copying)
		copyBetween(in, out)
		return 0
	}
	var in, out, started [2]int
	for _, pipe := range []*[2]int{&in, &out, &started} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return command.Fatal(name, "unable to create pipe", err)
		}
	}
	_, err := syscall.ForkExec("/proc/self/exe", []string{name, copyWord, strconv.Itoa(os.Getpid())}, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, toProgram: uintptr(in[1]), fromProgram: uintptr(out[0]), copying: uintptr(started[1])},
	})
	if err != nil {
		return command.Fatal(name, "unable to fork", err)
	}
	// A program that ends at once would not get, and not be recorded to get,
	// what is there for it.
	unix.Close(started[1])
	for {
		if _, err := unix.Read(started[0], make([]byte, 1)); err != unix.EINTR {
			break
		}
	}
	if err := errors.Join(unix.Dup3(in[0], 0, 0), unix.Dup3(out[1], 1, 0)); err != nil {
		return command.Fatal(name, "unable to move descriptors", err)
	}
	err = command.Exec(args[1:], os.Environ())
	return command.Fatal(name, "unable to run "+args[1], err)
}

// The descriptors of the process that copies, beside 0 and 1.
const (
	toProgram   = 3
	fromProgram = 4
	copying     = 5 // closed once it begins
)

// copyBetween copies through in from descriptor 0 to the program, and through
// out from the program to descriptor 1, until the program's output ends or
// nobody takes what is copied.
func copyBetween(in, out filter) {
	signal.Ignore(unix.SIGPIPE)
	left := lane{from: 0, to: toProgram, filter: in}
	right := lane{from: fromProgram, to: 1, filter: out}
	for !right.ended {
		fds := []unix.PollFd{right.wants(), left.wants()}
		if left.ended {
			fds = fds[:1]
		}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return
		}
		if len(fds) > 1 && fds[1].Revents != 0 {
			if !left.step() {
				right.drain()
				return
			}
			if left.ended {
				unix.Close(toProgram)
				in.end()
			}
		}
		if fds[0].Revents != 0 && !right.step() {
			return
		}
	}
	out.end()
}

// A lane is one direction of copying.
type lane struct {
	from, to int
	filter   filter
	buf      [packet]byte
	passed   []byte // and not yet written
	ended    bool
}

// wants is what the lane waits for.
func (l *lane) wants() unix.PollFd {
	if len(l.passed) > 0 {
		return unix.PollFd{Fd: int32(l.to), Events: unix.POLLOUT}
	}
	return unix.PollFd{Fd: int32(l.from), Events: unix.POLLIN}
}

// step reads or writes once, and tells whether it can go on.
func (l *lane) step() (ok bool) {
	if len(l.passed) > 0 {
		n, err := unix.Write(l.to, l.passed)
		if err == nil {
			l.passed = l.passed[n:]
		}
		return err == nil || passing(err)
	}
	n, err := unix.Read(l.from, l.buf[:])
	if err == nil && n > 0 {
		l.passed = l.filter.pass(l.buf[:n])
	} else if !passing(err) {
		l.ended = true
	}
	return true
}

// drain copies what is there without waiting for more.
func (l *lane) drain() {
	for !l.ended {
		fds := []unix.PollFd{l.wants()}
		if n, err := unix.Poll(fds, 0); err != nil && err != unix.EINTR || n == 0 || !l.step() {
			return
		}
	}
	l.filter.end()
}

// passing tells whether an error means to try again.
func passing(err error) bool {
	return err == unix.EINTR || err == unix.EAGAIN
}
