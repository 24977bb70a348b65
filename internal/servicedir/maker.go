// Package servicedir makes service directories: the files that an
// administrator of qmail-conf knows, and the folder systemd/ that says what
// daemontools has no words for.
//
// A maker never overwrites: it refuses a directory that exists. An import
// writes over what nobody has edited.
package servicedir

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

// A StepError says which step of making a service directory failed, in the
// words that the classic makers print.
type StepError struct {
	What string // for example "unable to create /smtpd/run"
	Err  error
}

func (e *StepError) Error() string { return e.What + ": " + e.Err.Error() }
func (e *StepError) Unwrap() error { return e.Err }

// A maker makes the files of one service directory. After the first failure
// it does nothing more.
type maker struct {
	dir string
	err error
}

// newMaker creates dir itself. The sticky bit is how daemontools up to 0.70
// told a service directory that has a log.
func newMaker(dir string) *maker {
	m := &maker{dir: dir}
	m.try("unable to create "+dir, func() error { return unix.Mkdir(dir, 0o700) })
	m.try("unable to set mode of "+dir, func() error { return unix.Chmod(dir, 0o3755) })
	return m
}

func (m *maker) try(what string, step func() error) {
	if m.err != nil {
		return
	}
	if err := step(); err != nil {
		m.err = &StepError{what, err}
	}
}

func (m *maker) path(name string) string { return filepath.Join(m.dir, name) }

// folder makes a directory of mode 02755; with owner >= 0 it is given to
// that uid.
func (m *maker) folder(name string, owner int) {
	path := m.path(name)
	m.try("unable to create "+path, func() error {
		if err := unix.Mkdir(path, 0o700); err != nil {
			return err
		}
		if owner >= 0 {
			if err := unix.Chown(path, owner, -1); err != nil {
				return err
			}
		}
		return unix.Chmod(path, 0o2755)
	})
}

// file makes a file and syncs it; with owner >= 0 it is given to that uid.
func (m *maker) file(name string, mode fs.FileMode, owner int, content string) {
	path := m.path(name)
	m.try("unable to create "+path, func() error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.WriteString(content); err != nil {
			return err
		}
		if owner >= 0 {
			if err := f.Chown(owner, -1); err != nil {
				return err
			}
		}
		if err := f.Chmod(mode); err != nil {
			return err
		}
		return f.Sync()
	})
}

// An entry is a file of a service directory, or with folder a directory in it.
type entry struct {
	name    string
	folder  bool
	mode    fs.FileMode // of a file
	owner   int         // uid; -1: who makes it
	content string
}

func folder(name string) entry { return entry{name: name, folder: true, owner: -1} }

func file(name string, mode fs.FileMode, content string) entry {
	return entry{name: name, mode: mode, owner: -1, content: content}
}

// makeDir makes the directory dir with entries in their order.
func makeDir(dir string, entries []entry) error {
	m := newMaker(dir)
	for _, e := range entries {
		if e.folder {
			m.folder(e.name, e.owner)
		} else {
			m.file(e.name, e.mode, e.owner, e.content)
		}
	}
	return m.done()
}

// logEntries are the log service, whose multilog runs as the account logacct.
func logEntries(logacct string, uid int) []entry {
	return []entry{
		folder("log"),
		{name: "log/main", folder: true, owner: uid},
		{name: "log/status", mode: 0o644, owner: uid},
		folder("log/env"),
		file("log/env/MAXFILESIZE", 0o644, ""),
		file("log/env/MAXLOGFILES", 0o644, ""),
		file("log/env/PROCESSOR", 0o644, ""),
		file("log/run", 0o755, logRun(logacct)),
		folder("log/systemd"),
		file("log/systemd/service.conf", 0o644, units.LogConf(logacct)),
	}
}

// homeEntries say where qmail's home is, when that is not the usual place.
func homeEntries(home string) []entry {
	if home == "/var/qmail" {
		return nil
	}
	return []entry{file("env/QMAILHOME", 0o644, home+"\n")}
}

func logRun(logacct string) string {
	return `#!/bin/sh
exec setuidgid ` + logacct + ` \
envdir ./env \
sh -c '
  exec multilog t \
    ${MAXFILESIZE:+"s$MAXFILESIZE"} \
    ${MAXLOGFILES:+"n$MAXLOGFILES"} \
    ${PROCESSOR:+"!$PROCESSOR"} \
    ./main
'
`
}

// done syncs the directory, so that it is there whole after a power cut.
func (m *maker) done() error {
	m.try("unable to sync "+m.dir, func() error {
		d, err := os.Open(m.dir)
		if err != nil {
			return err
		}
		defer d.Close()
		return d.Sync()
	})
	return m.err
}

const socketConf = `# Lines for the socket unit, for example:
#[Socket]
#FreeBind=yes
`
