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
	args   []string
	limits []command.Limit                  // to be set on each
	ended  func(pid int, status waitStatus) // called for each that ended

	// start is held while a program is started, so that it is known whose
	// pid a process may have that ends before its pid is known here.
	start sync.Mutex

	mu       sync.Mutex
	starting bool
	running  map[int]struct{}   // by pid
	early    map[int]waitStatus // of processes that ended while starting

	started chan struct{} // has an element when there may be something to wait for
}

func newChildren(args []string, limits []command.Limit, ended func(pid int, status waitStatus)) *children {
	return &children{
		args:    args,
		limits:  limits,
		ended:   ended,
		running: map[int]struct{}{},
		early:   map[int]waitStatus{},
		started: make(chan struct{}, 1),
	}
}

// run starts the program on the connection fd, which is blocking, as its
// standard input and output, and closes fd here. It calls begun with the pid
// before p.ended can be called for that program.
func (p *children) run(fd int, env *ucspi.Env, begun func(pid int)) error {
	p.start.Lock()
	defer p.start.Unlock()
	p.setStarting(true)
	pid, err := p.fork(fd, env.Environ())
	unix.Close(fd)
	if err != nil {
		p.setStarting(false)
		return err
	}
	begun(pid)

	p.mu.Lock()
	status, ended := p.early[pid]
	if !ended {
		p.running[pid] = struct{}{}
	}
	p.mu.Unlock()
	p.setStarting(false)
	if ended {
		p.ended(pid, status)
		return nil
	}
	select {
	case p.started <- struct{}{}:
	default:
	}
	return nil
}

func (p *children) setStarting(starting bool) {
	p.mu.Lock()
	p.starting = starting
	clear(p.early)
	p.mu.Unlock()
}

func (p *children) fork(fd int, environ []string) (pid int, err error) {
	attr := &syscall.ProcAttr{Env: environ, Files: []uintptr{uintptr(fd), uintptr(fd), 2}}
	err = command.Search(p.args[0], func(path string) error {
		// A look is cheaper than a process that cannot execute path.
		if err := unix.Access(path, unix.X_OK); err != nil {
			return err
		}
		var err error
		pid, err = syscall.ForkExec(path, p.args, attr)
		return err
	})
	switch err {
	case nil:
		if p.limits != nil {
			command.SetLimits(pid, p.limits)
		}
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
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch err {
		case nil:
			if p.take(pid, waitStatus(status)) {
				p.ended(pid, waitStatus(status))
			}
		case syscall.ECHILD:
			<-p.started
		}
	}
}

// take tells whether a process that ended is a running program, and forgets
// it. It keeps the status of one whose start is not yet complete for run.
func (p *children) take(pid int, status waitStatus) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.running[pid]; ok {
		delete(p.running, pid)
		return true
	}
	if p.starting {
		p.early[pid] = status
	}
	return false
}
