package svcompat

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// fghackDescriptors is in how many descriptors the program finds the pipe. A
// daemon closes some of those that it inherits, and hardly so many.
const fghackDescriptors = 31

// Fghack runs a program that puts itself into the background, and ends when
// that and all its offspring have: when all that inherited a pipe have closed
// it.
func Fghack(args []string) int {
	const name = "fghack"
	if len(args) < 2 {
		return command.Usage(name, "fghack child")
	}
	pipe, inherited, err := manyEnds()
	if err != nil {
		return command.Fatal(name, "unable to create pipe", err)
	}
	var pid int
	err = command.Search(args[1], func(path string) (err error) {
		pid, _, err = StartProcess(path, args[1:], os.Environ(), "", 0, 1)
		return err
	})
	switch {
	case IsForkFailure(err):
		return command.Fatal(name, "unable to fork", err)
	case err != nil:
		return command.Fatal(name, "unable to run "+args[1], err)
	}
	for _, fd := range inherited {
		unix.Close(fd)
	}
	io.Copy(io.Discard, pipe)
	var status unix.WaitStatus
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Wait4(pid, &status, 0, nil)
	}
	switch {
	case err != nil:
		return command.Fatal(name, "wait failed", err)
	case status.Signaled():
		return command.Fatal(name, "child crashed", nil)
	}
	return status.ExitStatus()
}

// manyEnds makes a pipe with many descriptors to write to, the lowest that
// are free, which programs inherit.
func manyEnds() (pipe *os.File, inherited []int, err error) {
	ends := make([]int, 2)
	if err := unix.Pipe2(ends, unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	if high, err := unix.FcntlInt(uintptr(ends[0]), unix.F_DUPFD_CLOEXEC, 200); err == nil {
		unix.Close(ends[0])
		ends[0] = high
	}
	for len(inherited) < fghackDescriptors {
		fd, err := unix.Dup(ends[1])
		if err != nil {
			break // the program gets as many as it may have
		}
		inherited = append(inherited, fd)
		if len(inherited) == 1 {
			unix.Close(ends[1])
			ends[1] = fd
		}
	}
	return os.NewFile(uintptr(ends[0]), "pipe"), inherited, nil
}
