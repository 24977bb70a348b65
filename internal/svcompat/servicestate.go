package svcompat

import (
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// A serviceState is what the files of a service directory tell.
type serviceState struct {
	Status
	normallyUp bool
	supervised bool // supervise runs; where it does not, Status is the last one it left

	failed string // what could not be done, in the words of svstat; empty: nothing
	why    error
}

// A stateReader reads the state of one service directory after the other. A
// few descriptors may stay open until it is flushed.
type stateReader struct {
	closer
	path    []byte
	content [StatusSize]byte
}

// in returns the path of a file in the service directory dir, with a NUL byte
// at its end.
func (r *stateReader) in(dir, name string) []byte {
	r.path = append(append(append(append(r.path[:0], dir...), '/'), name...), 0)
	return r.path
}

// open opens a file in the service directory dir.
func (r *stateReader) open(dir, name string, flags int) (int, error) {
	path := r.in(dir, name)
	fd, err := rawOpen(path, flags)
	if err == unix.EMFILE || err == unix.ENFILE {
		r.flush()
		fd, err = rawOpen(path, flags)
	}
	return fd, err
}

// read reads the state of the service directory dir. It does not go there,
// which would take two more system calls.
func (r *stateReader) read(dir string) serviceState {
	if dir == "" {
		return failure("unable to chdir", unix.ENOENT)
	}
	var state serviceState
	switch err := rawAccess(r.in(dir, "down")); err {
	case nil:
	case unix.ENOENT:
		state.normallyUp = true
	default:
		return failureIn(dir, "unable to stat down", err)
	}
	ok, err := r.open(dir, "supervise/ok", unix.O_WRONLY)
	switch err {
	case nil:
		r.close(ok)
		state.supervised = true
	case unix.ENXIO:
	default:
		return failureIn(dir, noOK, err)
	}
	status, err := r.open(dir, "supervise/status", unix.O_RDONLY)
	if err != nil {
		return state.without("unable to open supervise/status", err)
	}
	n, err := rawRead(status, r.content[:])
	r.close(status)
	if err == nil {
		state.Status, err = ParseStatus(r.content[:n])
	}
	if err != nil {
		return state.without("unable to read supervise/status", err)
	}
	return state
}

// without is the state of a service whose status cannot be had, which is no
// failure where nobody keeps one.
func (s serviceState) without(what string, why error) serviceState {
	if s.supervised {
		return failure(what, why)
	}
	return s
}

const noOK = "unable to open supervise/ok"

func failure(what string, why error) serviceState {
	return serviceState{failed: what, why: why}
}

// failureIn is failure, unless the service directory itself is what is wrong.
func failureIn(dir, what string, why error) serviceState {
	var info unix.Stat_t
	if err := unix.Stat(dir+"/.", &info); err != nil {
		return failure("unable to chdir", err)
	}
	return failure(what, why)
}

// isUp tells whether the service is known to be up.
func (s *serviceState) isUp() bool {
	return s.failed == "" && s.supervised && s.PID != 0
}

// word names the state: up, down, unsupervised or unknown.
func (s *serviceState) word() string {
	switch {
	case s.failed == noOK && s.why == unix.ENOENT:
		return "unsupervised" // nor was it ever
	case s.failed != "":
		return "unknown"
	case !s.supervised:
		return "unsupervised"
	case s.PID != 0:
		return "up"
	default:
		return "down"
	}
}

// appendText appends s to b in the words of svstat, as it is at now.
func (s *serviceState) appendText(b []byte, now time.Time) []byte {
	switch {
	case s.failed != "":
		b = append(b, s.failed...)
		b = append(b, ": "...)
		return append(b, command.ErrText(s.why)...)
	case !s.supervised:
		return append(b, "supervise not running"...)
	default:
		return s.AppendText(b, now, s.normallyUp)
	}
}
