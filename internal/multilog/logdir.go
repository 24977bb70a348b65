package multilog

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/tai64"
)

// The modes of the files of a log directory. A log whose execute bit is set
// has been written to its end and to the disk.
const (
	modeOpen     = 0o644
	modeComplete = 0o744
	completeBit  = 0o100
)

// slack is how far below its size limit a log may end, so that it ends with
// a line.
const slack = 2000

// chunk is how many bytes the classic program writes at a time.
const chunk = 512

// logDir is an automatically rotated log: a directory with the file current,
// which is written, and the logs @LABEL.s and @LABEL.u, which were. Its other
// files are previous and processed, stages of a log on its way to @LABEL.s,
// state and newstate, which belong to the processor, and lock.
type logDir struct {
	settings
	path    string
	fd      int
	lock    int
	current int
	used    int // bytes in current

	unsynced   bool // current has what is not on disk, though it should be
	watch      logAge
	compressor *compressor // nil: logs are not compressed
}

// openLogDir makes the directory where there is none, locks it, and recovers
// what a multilog that was killed left there.
func openLogDir(path string, set settings) (*logDir, error) {
	d := &logDir{settings: set, path: path}
	unix.Mkdir(path, 0o700)
	var err error
	d.fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Faccessat(d.fd, ".", unix.X_OK, 0)
	}
	if err != nil {
		return nil, fatal{"unable to open directory " + path, err}
	}
	d.lock, err = d.openAppend("lock")
	if err == nil {
		err = unix.Flock(d.lock, unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, fatal{"unable to lock directory " + path, err}
	}
	info, err := d.stat("current")
	if err != nil && err != unix.ENOENT {
		return nil, fatal{"unable to stat " + path + "/current", err}
	}
	if err == nil && info.Mode&completeBit != 0 {
		if d.current, err = d.openAppend("current"); err != nil {
			return nil, fatal{"unable to append to " + path + "/current", err}
		}
		unix.Fchmod(d.current, modeOpen)
		d.used = int(info.Size)
		d.watch.resume(d)
	} else if err := d.recover(); err != nil {
		return nil, err
	}
	if d.sync {
		unix.Fsync(d.fd) // which has current, see rotate
	}
	if d.compress {
		d.compressor = newCompressor(path)
		d.compressor.start() // on what was left
	}
	return d, nil
}

// recover files what is there of logs that were not completed, and starts
// anew.
func (d *logDir) recover() error {
	d.unlink("state")
	d.unlink("newstate")
	info, err := d.stat("processed")
	if err != nil && err != unix.ENOENT {
		return fatal{"unable to stat " + d.path + "/processed", err}
	}
	if err == nil && info.Mode&completeBit != 0 {
		d.unlink("previous")
		d.file("processed", ".s")
	} else {
		d.unlink("processed")
		d.file("previous", ".u")
	}
	d.file("current", ".u")
	state, err := unix.Openat(d.fd, "state", unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fatal{"unable to write to " + d.path + "/state", err}
	}
	unix.Close(state)
	if d.current, err = d.openAppend("current"); err != nil {
		return fatal{"unable to write to " + d.path + "/current", err}
	}
	unix.Fchmod(d.current, modeOpen)
	return nil
}

// write appends text to current, and rotates where it is full. A log ends
// with a line end within slack of its size limit, or at the limit where a line
// is longer than slack. Of the line ends within slack it is the last one of a
// chunk, so that lines that came together stay together.
func (d *logDir) write(text []byte) {
	for done := 0; done < len(text); {
		if d.used >= d.size {
			d.rotate()
		}
		end := min(len(text), done+d.size-d.used)
		ends := false
		if from := done + max(d.size-slack-1-d.used, 0); from < end {
			if i := bytes.IndexByte(text[from:end], '\n'); i >= 0 {
				chunkEnd := ((from+i)/chunk + 1) * chunk
				end = bytes.LastIndexByte(text[:min(end, chunkEnd)], '\n') + 1
				ends = true
			}
		}
		d.append(text[done:end])
		if ends {
			d.rotate()
		}
		done = end
	}
}

func (d *logDir) append(text []byte) {
	writeAll(d.current, text, "unable to write to "+d.path+"/current")
	if d.used == 0 {
		d.watch.begin(d)
	}
	d.used += len(text)
	d.unsynced = d.sync
}

// written says that all the lines of a batch are written.
func (d *logDir) written() {
	if d.unsynced {
		d.toDisk(d.current, "current")
		d.unsynced = false
	}
}

// rotate completes current, makes a new one, and files the old one.
func (d *logDir) rotate() {
	d.toDisk(d.current, "current")
	unix.Close(d.current)
	persist("unable to rename current to previous in directory "+d.path, func() error {
		return unix.Renameat(d.fd, "current", d.fd, "previous")
	})
	d.current = d.create("current")
	persist("unable to set mode of "+d.path+"/current", func() error {
		return unix.Fchmod(d.current, modeOpen)
	})
	d.used = 0
	d.unsynced = false
	persist("unable to set mode of "+d.path+"/previous", func() error {
		return unix.Fchmodat(d.fd, "previous", modeComplete, 0)
	})
	if d.processor == nil {
		d.file("previous", ".s")
	} else {
		d.process()
		d.file("processed", ".s")
	}
	// So that a finished log survives a power failure under its name. No
	// second attempt: not every file system can, and none would mean more.
	unix.Fsync(d.fd)
	if d.compressor != nil {
		d.compressor.start()
	}
}

// file gives the file from, where there is one, the name of a log that is
// done, and removes the oldest logs that are too many.
func (d *logDir) file(from, suffix string) {
	var info unix.Stat_t
	persist("unable to stat "+d.path+"/"+from, func() (err error) {
		if info, err = d.stat(from); err == unix.ENOENT {
			info.Nlink, err = 0, nil
		}
		return err
	})
	if info.Nlink == 0 {
		return
	}
	// A second link is the log itself: a multilog was killed right here.
	for done := info.Nlink != 1; !done; {
		to := tai64.Label(time.Now()) + suffix
		err := unix.Linkat(d.fd, from, d.fd, to, 0)
		if done = err == nil; !done {
			pause("unable to link to "+d.path+"/"+to, err)
		}
	}
	d.remove(from)
	d.prune()
}

// prune removes the oldest logs until current and those that stay are no
// more than the directory may hold.
func (d *logDir) prune() {
	persist("unable to read "+d.path, func() error {
		logs, err := d.logs()
		slices.SortFunc(logs, func(a, b string) int {
			return strings.Compare(a[:tai64.LabelSize], b[:tai64.LabelSize])
		})
		for ; err == nil && len(logs) >= d.count; logs = logs[1:] {
			err = unix.Unlinkat(d.fd, logs[0], 0)
		}
		return err
	})
}

// logs returns the names of the logs that are done.
func (d *logDir) logs() ([]string, error) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), d.path)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return slices.DeleteFunc(names, func(name string) bool {
		return name[0] != '@' || len(name) < tai64.LabelSize
	}), err
}

// close completes current in its place.
func (d *logDir) close() {
	d.toDisk(d.current, "current")
	persist("unable to set mode of "+d.path+"/current", func() error {
		return unix.Fchmod(d.current, modeComplete)
	})
}

func (d *logDir) stat(name string) (info unix.Stat_t, err error) {
	err = unix.Fstatat(d.fd, name, &info, 0)
	return info, err
}

func (d *logDir) openAppend(name string) (int, error) {
	return unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
}

// create is openAppend with pauses until it succeeds.
func (d *logDir) create(name string) (fd int) {
	persist("unable to create "+d.path+"/"+name, func() (err error) {
		fd, err = d.openAppend(name)
		return err
	})
	return fd
}

// unlink removes a file that may not be there.
func (d *logDir) unlink(name string) {
	unix.Unlinkat(d.fd, name, 0)
}

// remove removes a file, with pauses until it is gone.
func (d *logDir) remove(name string) {
	persist("unable to remove "+d.path+"/"+name, func() error {
		if err := unix.Unlinkat(d.fd, name, 0); err != unix.ENOENT {
			return err
		}
		return nil
	})
}

// toDisk writes the open file name to the disk, with pauses until it succeeds.
func (d *logDir) toDisk(fd int, name string) {
	persist("unable to write "+d.path+"/"+name+" to disk", func() error {
		return unix.Fsync(fd)
	})
}
