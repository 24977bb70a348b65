package svscan

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/internal/systemd/manager"
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

// givePipe has systemd hold the pipe of a log that an earlier svscan put down
// together with its socket unit, and that the service still writes to.
func (service *bridged) givePipe() {
	log := service.log
	if log == nil || log.held == nil || log.woken || isLive(&log.state) || !isLive(&service.main.state) {
		return
	}
	for _, socket := range log.sockets {
		if state := log.socketStates[socket]; !isLive(&state) {
			service.bridge.manager.Start(socket, manager.WithDependencies)
		}
	}
}

// checkPipe makes sure that the FIFO is still what the units find.
func (service *bridged) checkPipe() {
	path := units.FIFO(service.base)
	subject := service.name + " pipe"
	if service.pipe < 0 {
		service.holdPipe()
		return
	}
	fd, err := openPipe(path)
	if err == nil {
		if !sameFile(fd, service.pipe) {
			err = errors.New("another FIFO: restart the units that use it")
		}
		unix.Close(fd)
	}
	if err != nil {
		service.bridge.complain(subject, "unable to use "+path, err)
	} else {
		service.bridge.content(subject)
	}
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
	return unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
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
