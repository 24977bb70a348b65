package svcompat

import (
	"errors"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// A SuperviseDir is the directory supervise/ of a service directory, held by
// whoever keeps the service running: lock is locked, control takes letters
// from svc, status tells svstat the state, and the reader of ok tells svok
// and svstat that somebody is there. The files stay when the owner goes.
type SuperviseDir struct {
	path    string // of the service directory
	name    string // of the service directory in messages
	lock    int
	control int
	keep    int // a writer of control, so that it never ends
	ok      int // -1 before SetRunning
}

// A DirError says what could not be done with a supervise directory. Its text
// is that of the classic messages.
type DirError struct {
	What string // "unable to acquire DIR/supervise/lock" and so on
	Err  error
}

func (e *DirError) Error() string { return e.What + ": " + command.ErrText(e.Err) }

func (e *DirError) Unwrap() error { return e.Err }

var errNotFIFO = errors.New("not a FIFO")

// OpenSuperviseDir takes over supervise/ in the service directory path, and
// makes what is missing there; a supervise that is a dangling link has its
// target made. Messages call the service directory name. Where another owner
// holds it, the error wraps EAGAIN and nothing has been touched. The
// descriptors are close-on-exec. Errors are of type *DirError.
//
// The next steps are WriteStatus and SetRunning, in this order, so that
// whoever finds a reader of ok finds a status as well.
func OpenSuperviseDir(path, name string) (*SuperviseDir, error) {
	d := &SuperviseDir{path: path, name: name, lock: -1, control: -1, keep: -1, ok: -1}
	if err := d.open(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *SuperviseDir) open() error {
	d.mkdir()
	const lockFlags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NONBLOCK | unix.O_CLOEXEC
	var err error
	if d.lock, err = unix.Open(d.file("lock"), lockFlags, 0o600); err != nil {
		return d.fail("acquire", "lock", err)
	}
	if err = unix.Flock(d.lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return d.fail("acquire", "lock", err)
	}
	unix.Mkfifo(d.file("control"), 0o600)
	if d.control, err = openEnd(d.file("control"), unix.O_RDONLY); err != nil {
		return d.fail("read", "control", err)
	}
	if d.keep, err = openEnd(d.file("control"), unix.O_WRONLY); err != nil {
		return d.fail("write", "control", err)
	}
	return nil
}

// mkdir makes supervise/; a failure shows when lock is opened.
func (d *SuperviseDir) mkdir() {
	dir := d.path + "/supervise"
	if unix.Mkdir(dir, 0o700) != unix.EEXIST {
		return
	}
	var target [unix.PathMax]byte
	n, err := unix.Readlink(dir, target[:])
	if err != nil || n == 0 {
		return
	}
	to := string(target[:n])
	if to[0] != '/' {
		to = d.path + "/" + to
	}
	unix.Mkdir(to, 0o700)
}

// SetRunning tells svok and svstat that the service directory is supervised.
func (d *SuperviseDir) SetRunning() error {
	unix.Mkfifo(d.file("ok"), 0o600)
	var err error
	if d.ok, err = openEnd(d.file("ok"), unix.O_RDONLY); err != nil {
		return d.fail("read", "ok", err)
	}
	return nil
}

// CheckFIFOs returns an error where control or ok is there and no FIFO, so
// that no letter can come by it.
func (d *SuperviseDir) CheckFIFOs() error {
	for _, file := range []string{"control", "ok"} {
		var info unix.Stat_t
		if unix.Stat(d.file(file), &info) == nil && info.Mode&unix.S_IFMT != unix.S_IFIFO {
			return d.fail("use", file, errNotFIFO)
		}
	}
	return nil
}

// Control returns the descriptor to poll for letters.
func (d *SuperviseDir) Control() int { return d.control }

// ReadControl takes the next letter from control; ok is false when none is
// there. It never blocks.
func (d *SuperviseDir) ReadControl() (letter byte, ok bool) {
	var b [1]byte
	n, err := unix.Read(d.control, b[:])
	return b[0], err == nil && n == 1
}

// WriteStatus replaces supervise/status atomically. Readers never see a part
// of it; a crash of the machine may lose it.
func (d *SuperviseDir) WriteStatus(s Status) error {
	const file = "status.new"
	const flags = unix.O_WRONLY | unix.O_TRUNC | unix.O_CREAT | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Open(d.file(file), flags, 0o644)
	if err != nil {
		return d.fail("open", file, err)
	}
	b := s.Bytes()
	n, err := unix.Write(fd, b[:])
	if err == nil && n < len(b) {
		err = errors.New("partial write")
	}
	unix.Close(fd)
	if err != nil {
		return d.fail("write", file, err)
	}
	if err := unix.Rename(d.file(file), d.file("status")); err != nil {
		return d.fail("rename", file+" to status", err)
	}
	return nil
}

// Close lets go of the directory. svok and svstat then say that supervise is
// not running, with the last status staying where it is.
func (d *SuperviseDir) Close() {
	for _, fd := range []int{d.ok, d.keep, d.control, d.lock} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (d *SuperviseDir) file(name string) string { return d.path + "/supervise/" + name }

func (d *SuperviseDir) fail(verb, file string, err error) error {
	return &DirError{"unable to " + verb + " " + d.name + "/supervise/" + file, err}
}

// openEnd opens one end of a FIFO without waiting for the other.
func openEnd(path string, flag int) (int, error) {
	return unix.Open(path, flag|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}
