package migrate

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// send writes control letters to whoever keeps the service directory dir.
func send(dir, letters string) error {
	fd, err := unix.Open(dir+"/supervise/control", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir + "/supervise/control", Err: err}
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(letters))
	return err
}

// kept tells whether somebody keeps the service directory dir.
func kept(dir string) bool {
	fd, err := unix.Open(dir+"/supervise/ok", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// ended waits until a process has ended, or the time is over.
func (fd pidfd) ended(limit time.Duration) bool {
	if fd < 0 {
		return true
	}
	for deadline := time.Now().Add(limit); ; {
		left := max(time.Until(deadline), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if n > 0 || err != nil && err != unix.EINTR {
			return n > 0
		}
		if err == nil && left == 0 {
			return false
		}
	}
}

// sessionsAfter is how long the log of a service that has ended may go on to
// read what others write, such as sessions that the service started. What they
// write later is carried over.
const sessionsAfter = time.Second

// release has the old supervisors end the service and let it go, with its log
// in the end, once that has read all there is. It returns the pipe between
// them where there is more to come. Where the service does not end in time,
// nothing has changed.
func (s *service) release(limit time.Duration) (rest *pipe, err error) {
	main, log := &s.main, &s.log
	main.read()
	log.read()
	var p pipe
	piped := false
	switch {
	case log.process.pid == 0:
	case log.pid != 0:
		p, piped = holdPipe(log.pid)
	case log.kind != runit:
		p, piped = holdPipe(log.process.pid)
	}
	defer func() {
		if piped && rest == nil {
			p.close()
		}
	}()
	process, supervisor, logSupervisor := openPidfd(main.pid), openPidfd(main.process.pid), openPidfd(log.process.pid)
	defer process.close()
	defer supervisor.close()
	defer logSupervisor.close()

	if main.process.pid != 0 {
		if err := send(main.dir, "d"); err != nil {
			return nil, err
		}
		if !process.ended(limit) {
			send(main.dir, "u")
			return nil, fmt.Errorf("process %d does not end within %v, and goes on", main.pid, limit)
		}
	}
	// The log is to end with its input. It is told so while the input is open.
	separate := log.process.pid != 0 && log.process.pid != main.process.pid
	if separate {
		send(log.dir, "x")
	}
	if main.process.pid != 0 {
		send(main.dir, "x")
		if main.process.pid != log.process.pid && !supervisor.ended(limit) {
			return nil, fmt.Errorf("%s %d does not end within %v", main.supervisor, main.process.pid, limit)
		}
	}
	if log.process.pid != 0 {
		if !logSupervisor.ended(sessionsAfter) && (!piped || p.written() || log.pid == 0) {
			send(log.dir, "d")
		}
		if !logSupervisor.ended(limit) {
			return nil, fmt.Errorf("its log does not end within %v: see process %d", limit, log.pid)
		}
	}
	if piped && (p.written() || !p.empty()) {
		return &p, nil
	}
	return nil, nil
}
