package svcompat

import (
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// StartProcess starts the program at path in the directory dir ("" for this
// one) with the given standard descriptors. Other descriptors are inherited
// where they are not close-on-exec, as always. Limits that softlimit handed on
// are set on it, unless it is one of ours. pidfd is -1 where the kernel has
// none (before Linux 5.2).
func StartProcess(path string, args, env []string, dir string, stdin, stdout int) (pid, pidfd int, err error) {
	limits, env := command.LimitsFor(path, env)
	pidfd = -1
	pid, err = syscall.ForkExec(path, args, &syscall.ProcAttr{
		Dir:   dir,
		Env:   env,
		Files: []uintptr{uintptr(stdin), uintptr(stdout), 2},
		Sys:   &syscall.SysProcAttr{PidFD: &pidfd},
	})
	if err == nil {
		command.SetLimits(pid, limits)
	}
	return pid, pidfd, err
}

// IsForkFailure tells whether StartProcess failed before there was a process
// to run the program in.
func IsForkFailure(err error) bool {
	switch err {
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return true
	}
	return false
}

// Reap collects a child that has ended and returns its pid; ok is false when
// there is none.
func Reap() (pid int, ok bool) {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		return pid, err == nil && pid > 0
	}
}
