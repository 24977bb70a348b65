package control

import (
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/cdb"
)

// files are the control files that a Config is made of.
var files = [...]string{
	"me", "smtpgreeting", "localiphost", "timeoutsmtpd",
	"rcpthosts", "morercpthosts.cdb", "badmailfrom", "databytes",
}

// A Directory is the directory HOME/control. It is safe for concurrent use.
type Directory struct {
	home  string
	path  string
	paths [len(files)]string
	more  *cdb.File

	mu      sync.Mutex // held while files are read
	current atomic.Pointer[snapshot]
}

// A snapshot is a Config and what it was read from.
type snapshot struct {
	config *Config
	state
}

// A state is the identities of the directory and of the files in it; the
// zero identity is that of a file that is absent.
type state struct {
	directory identity
	files     [len(files)]identity
}

// An identity tells one content of a name from the next.
type identity struct {
	device, inode uint64
	size          int64
	modified      unix.Timespec
	changed       unix.Timespec
}

// settled is the age from which on a change of a file shows in its times: the
// clock of a file system is as coarse as a tick.
const settled = 100 * time.Millisecond

// NewDirectory returns the control directory of the qmail whose home
// directory is home, an absolute path. It touches no file yet.
func NewDirectory(home string) *Directory {
	d := &Directory{home: home, path: home + "/control"}
	for i, name := range files {
		d.paths[i] = d.path + "/" + name
	}
	d.more = cdb.NewFile(d.path + "/morercpthosts.cdb")
	return d
}

// Config returns what the control files say now. It reads them only when one
// of them has changed. The error, an *fs.PathError, names the file that
// exists and cannot be read, or says that neither me nor smtpgreeting is
// there.
func (d *Directory) Config() (*Config, error) {
	config, _, err := d.kept()
	if config != nil || err != nil {
		return config, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	config, now, err := d.kept()
	if config != nil || err != nil {
		return config, err
	}
	if config, err = read(d.home, d.more); err != nil {
		return nil, err
	}
	if !now.fresh() {
		d.current.Store(&snapshot{config, now})
	}
	return config, nil
}

// kept returns the Config that is kept, or nil where it is out of date, and
// the present state.
func (d *Directory) kept() (*Config, state, error) {
	var now state
	var err error
	if now.directory, err = identify(d.path); err != nil {
		return nil, now, err
	}
	s := d.current.Load()
	sameEntries := s != nil && s.directory == now.directory
	for i, path := range d.paths {
		if sameEntries && s.files[i] == (identity{}) {
			continue // still absent
		}
		if now.files[i], err = identify(path); err != nil {
			return nil, now, err
		}
	}
	if s == nil || s.state != now {
		return nil, now, nil
	}
	return s.config, now, nil
}

// identify returns the identity of what is at path. A link that leads
// nowhere is not the same as nothing.
func identify(path string) (identity, error) {
	var stat unix.Stat_t
	err := unix.Stat(path, &stat)
	if err == unix.ENOENT {
		err = unix.Lstat(path, &stat)
	}
	switch {
	case err == unix.ENOENT:
		return identity{}, nil
	case err != nil:
		return identity{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return identity{stat.Dev, stat.Ino, stat.Size, stat.Mtim, stat.Ctim}, nil
}

// fresh tells whether something was changed so shortly ago that its next
// change may not show.
func (s *state) fresh() bool {
	now := time.Now()
	for _, id := range append(s.files[:], s.directory) {
		age := now.Sub(time.Unix(id.changed.Unix()))
		if id != (identity{}) && age.Abs() < settled {
			return true
		}
	}
	return false
}
