package tcpserver

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/ucspi"
)

// A waitStatus is how a program ended, as wait(2) tells it: the exit code
// times 256, or the signal.
type waitStatus uint32

func exited(code int) waitStatus { return waitStatus(code&0xff) << 8 }

// children are the running programs, one for each connection.
type children struct {
	args []string

	// mu is held while a program is started and while one that ended is
	// collected, so that meanwhile a pid stays that of the same program.
	mu      sync.Mutex
	running map[int]func(pid int, status waitStatus) // by pid: what to call when it ended

	started chan struct{} // has an element when there may be something to wait for
}

func newChildren(args []string) *children {
	return &children{
		args:    args,
		running: map[int]func(int, waitStatus){},
		started: make(chan struct{}, 1),
	}
}

// run starts the program on the connection fd, which is blocking, as its
// standard input and output, and closes fd here. It calls begun with the pid,
// and then ended when the program ended.
func (p *children) run(fd int, env *ucspi.Env, begun func(pid int), ended func(pid int, status waitStatus)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := p.fork(fd, env.Environ())
	unix.Close(fd)
	if err != nil {
		return err
	}
	begun(pid)
	p.running[pid] = ended
	select {
	case p.started <- struct{}{}:
	default:
	}
	return nil
}

// fork starts the program and sets the limits on it that environ hands on.
func (p *children) fork(fd int, environ []string) (pid int, err error) {
	files := []uintptr{uintptr(fd), uintptr(fd), 2}
	err = command.Search(p.args[0], func(path string) error {
		// A look is cheaper than a process that cannot execute path.
		if err := unix.Access(path, unix.X_OK); err != nil {
			return err
		}
		limits, own := command.LimitsFor(path, environ)
		var err error
		pid, err = syscall.ForkExec(path, p.args, &syscall.ProcAttr{Env: own, Files: files})
		if err == nil {
			command.SetLimits(pid, limits)
		}
		return err
	})
	switch err {
	case nil:
		return pid, nil
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return 0, &failure{"unable to fork", err}
	default:
		return 0, &failure{"unable to run " + p.args[0], err}
	}
}

// reap waits for programs for ever.
func (p *children) reap() {
	for {
		// Only a look: what ends is collected under the lock.
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		switch err {
		case nil:
			p.collect()
		case unix.ECHILD:
			<-p.started
		}
	}
}

// collect takes one program that ended, if there is one.
func (p *children) collect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err != nil {
		return
	}
	if ended, ok := p.running[pid]; ok {
		delete(p.running, pid)
		ended(pid, waitStatus(status))
	}
}
