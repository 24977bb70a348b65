package migrate

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// A pipe is the reading end of what carries a log. As long as it is held, what
// is written there is not lost, whoever else reads it or not.
type pipe struct{ fd int }

// holdPipe opens what a process reads as its standard input. ok is false
// where that is no pipe.
func holdPipe(pid int) (p pipe, ok bool) {
	return openPipe(procFile(pid, "fd/0"))
}

// openPipe opens the reading end of the pipe at path.
func openPipe(path string) (p pipe, ok bool) {
	if !isPipe(path) {
		return pipe{-1}, false
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	return pipe{fd}, err == nil
}

func isPipe(path string) bool {
	var info unix.Stat_t
	return unix.Stat(path, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFIFO
}

// written tells whether somebody may still write to the pipe.
func (p pipe) written() bool {
	fds := []unix.PollFd{{Fd: int32(p.fd)}}
	unix.Poll(fds, 0)
	return fds[0].Revents&unix.POLLHUP == 0
}

// empty tells whether all that was written has been read.
func (p pipe) empty() bool {
	n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ)
	return err == nil && n == 0
}

func (p pipe) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// await waits until something is true for which there is no event, or the
// time is over.
func await(limit time.Duration, is func() bool) bool {
	for deadline := time.Now().Add(limit); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

const carryOption = "--carry"

// carry starts a process that copies the pipe to the one at path until nobody
// writes any more: sessions that outlive the service that started them go on
// to write to the old log. It outlives this process.
func (p pipe) carry(path string) error {
	to, err := os.OpenFile(path, os.O_RDWR, 0) // for reading too: it must not break while nobody reads
	if err != nil {
		return err
	}
	defer to.Close()
	from, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	stdin := os.NewFile(uintptr(from), "pipe")
	defer stdin.Close()
	cmd := exec.Command("/proc/self/exe", carryOption)
	cmd.Args[0] = name
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout = stdin, to
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

func carryMain() int {
	if err := copyLines(os.Stdout, os.Stdin); err != nil {
		return command.Fatal(name, "unable to carry a log", err)
	}
	return 0
}

// copyLines copies whole lines, each piece in a write that others cannot come
// into where the lines in it are not too long for that.
func copyLines(to io.Writer, from io.Reader) error {
	const atomic = 4096 // PIPE_BUF
	buffer := make([]byte, 0, 64<<10)
	for {
		n, err := from.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		for {
			end := bytes.LastIndexByte(buffer[:min(len(buffer), atomic)], '\n') + 1
			if end == 0 {
				end = bytes.IndexByte(buffer, '\n') + 1
			}
			if end == 0 && (len(buffer) == cap(buffer) || err != nil) {
				end = len(buffer)
			}
			if end == 0 {
				break
			}
			if _, err := to.Write(buffer[:end]); err != nil {
				return err
			}
			buffer = append(buffer[:0], buffer[end:]...)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
