package svscan

import (
	"path"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

// A stamp changes when a file does, or its owner or mode.
type stamp struct {
	ino   uint64
	ctime unix.Timespec
}

// A lookedAt is a file of a service directory that its units depend on.
type lookedAt struct {
	path   string // relative, with a slash before it
	parent int    // index of its directory
}

// settings are those files, each after its directory; the first is the
// service directory itself.
var settings = listSettings()

const numSettings = 4 + len(units.Settings)

func listSettings() (list [numSettings]lookedAt) {
	index := map[string]int{".": 0}
	names := append([]string{"log", "env", "log/systemd"}, units.Settings[:]...)
	for i, name := range names {
		index[name] = i + 1
		list[i+1] = lookedAt{"/" + name, index[path.Dir(name)]}
	}
	return list
}

// stamps are those of settings; zero where there is no such file.
type stamps [numSettings]stamp

// update looks at the service directory dir, with what stat says of it, and
// tells whether anything has changed. What was not there is not looked for in
// a directory that has not changed.
func (s *stamps) update(dir string, info *unix.Stat_t) (changed bool) {
	var moved [numSettings]bool
	for i, setting := range settings {
		now := stamp{info.Ino, info.Ctim}
		if i > 0 {
			if s[i] == (stamp{}) && !moved[setting.parent] {
				continue
			}
			now = stampOf(dir + setting.path)
		}
		if now != s[i] {
			s[i], moved[i], changed = now, true, true
		}
	}
	return changed
}

func stampOf(path string) stamp {
	var info unix.Stat_t
	if unix.Stat(path, &info) != nil {
		return stamp{}
	}
	return stamp{info.Ino, info.Ctim}
}
