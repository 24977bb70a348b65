package svcompat

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/units"
)

// holdPipe opens the FIFO between the service and its log, so that it keeps
// what is in it while the log is down, and leaves it with systemd, so that it
// does while svscan is.
func (service *bridged) holdPipe() {
	if service.pipe >= 0 {
		return
	}
	b := service.bridge
	path := units.FIFO(service.base)
	subject := service.name + " pipe"
	fd, err := openPipe(path)
	if err != nil {
		b.complain(subject, "unable to open "+path, err)
		return
	}
	if stored, ok := b.claim(service.pipeName()); ok {
		if sameFile(stored, fd) {
			// What was down when svscan ended is down because it was to be.
			status := oldStatus(service.log.dir)
			service.log.downByHand = status.PID == 0 && status.Want == WantDown
			unix.Close(fd)
			service.pipe = stored
			return
		}
		unix.Close(stored)
		systemd.Forget(service.pipeName())
	}
	service.pipe = fd
	if err := systemd.Store(service.pipeName(), fd); err != nil {
		b.complain(subject, "unable to leave "+path+" with systemd", err)
		return
	}
	b.content(subject)
}

func (service *bridged) pipeName() string {
	return "log-" + strings.ReplaceAll(service.base, ":", `\x3a`)
}

// openPipe opens the FIFO at path for reading and writing, and makes it where
// it is missing.
func openPipe(path string) (int, error) {
	os.Mkdir(units.RuntimeDir, 0o755)
	if err := unix.Mkfifo(path, 0o600); err != nil && err != unix.EEXIST {
		return -1, err
	}
	var info unix.Stat_t
	if err := unix.Lstat(path, &info); err != nil {
		return -1, err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFIFO {
		return -1, errors.New("not a FIFO: remove it and restart the units that use it")
	}
	return openEnd(path, unix.O_RDWR)
}

func sameFile(a, b int) bool {
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// claim returns what an earlier svscan left with systemd under name.
func (b *bridge) claim(name string) (fd int, ok bool) {
	file := b.stored[name]
	if file == nil {
		return -1, false
	}
	delete(b.stored, name)
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	file.Close()
	return fd, err == nil
}

// pipeFor returns the pipe between the supervise of a service and that of its
// log: the one that an earlier svscan made for the same directory, or a new
// one, which is left with systemd for the next svscan.
func (b *bridge) pipeFor(id identity) (pipe [2]int, err error) {
	names := pipeNames(id)
	read, ok := b.claim(names[0])
	write, both := b.claim(names[1])
	if ok && both && sameFile(read, write) {
		return [2]int{read, write}, nil
	}
	for i, fd := range []int{read, write} {
		if fd >= 0 {
			unix.Close(fd)
			systemd.Forget(names[i])
		}
	}
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return pipe, err
	}
	for i, fd := range pipe {
		systemd.Store(names[i], fd)
	}
	return pipe, nil
}

func (b *bridge) forgetPipe(id identity) {
	for _, name := range pipeNames(id) {
		systemd.Forget(name)
	}
}

func pipeNames(id identity) [2]string {
	name := fmt.Sprintf("pipe-%x-%x", id.dev, id.ino)
	return [2]string{name + "-read", name + "-write"}
}
