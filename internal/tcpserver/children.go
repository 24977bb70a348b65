package tcpserver

import (
	"sync"
	"syscall"
	"unsafe"

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

	// forks is held for reading from before a program is started until it is
	// in running. Programs start side by side.
	forks sync.RWMutex

	// mu is held while what is known of a pid changes: where one that ended is
	// collected, another program can have its pid.
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
	p.forks.RLock()
	defer p.forks.RUnlock()
	pid, err := p.fork(fd, env.Environ())
	unix.Close(fd)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
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
		pid, err := waitForAny()
		switch err {
		case nil:
			if !p.collect(pid, false) {
				// It is being started, or was there before this program.
				p.forks.Lock()
				p.collect(pid, true)
				p.forks.Unlock()
			}
		case unix.ECHILD:
			<-p.started
		}
	}
}

// waitForAny returns the pid of a child that ended, which is not collected.
func waitForAny() (pid int, err error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return 0, err
	}
	// The kernel's siginfo_t is three ints and then, aligned like a pointer, a
	// union that begins with the pid for a child.
	const align = unsafe.Sizeof(uintptr(0)) - 1
	offset := (3*unsafe.Sizeof(int32(0)) + align) &^ align
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), offset))), nil
}

// collect takes the child pid if it ended. It tells whether that was tried,
// which is not where it is unknown unless any is taken.
func (p *children) collect(pid int, any bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended, known := p.running[pid]
	if !known && !any {
		return false
	}
	var status syscall.WaitStatus
	got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
	if err == nil && got == pid && known {
		delete(p.running, pid)
		ended(pid, waitStatus(status))
	}
	return true
}
