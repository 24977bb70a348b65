package units

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// LateDir is where systemd takes what svscan-generator renders.
const LateDir = "/run/systemd/generator.late"

// A UnitFile is a unit file that is not rendered from a service directory.
type UnitFile struct {
	Path string
	Text string // empty: the unit is masked
}

// A Lookup finds unit files outside LateDir by the name of the unit.
type Lookup func(unit string) (file UnitFile, found bool)

// UnitPath returns the directories where systemd looks for unit files before
// LateDir, in its order.
func UnitPath() []string {
	return []string{
		"/etc/systemd/system.control",
		"/run/systemd/system.control",
		"/run/systemd/transient",
		"/run/systemd/generator.early",
		"/etc/systemd/system",
		"/etc/systemd/system.attached",
		"/run/systemd/system",
		"/run/systemd/system.attached",
		"/run/systemd/generator",
		"/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system",
		"/lib/systemd/system",
	}
}

// LookupIn returns a Lookup in directories, the first of which wins. It sees
// the unit files that are there now.
func LookupIn(dirs ...string) Lookup {
	paths := map[string][]string{}
	for _, dir := range dirs {
		names, _ := readNames(dir)
		for _, name := range names {
			if strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".socket") {
				paths[name] = append(paths[name], dir+"/"+name)
			}
		}
	}
	return func(unit string) (UnitFile, bool) {
		for _, path := range paths[unit] {
			var info unix.Stat_t
			if err := unix.Stat(path, &info); err == unix.ENOENT {
				continue // systemd passes over links that lead nowhere
			}
			if info.Mode&unix.S_IFMT != unix.S_IFREG {
				return UnitFile{Path: path}, true
			}
			text, _ := os.ReadFile(path)
			return UnitFile{path, string(text)}, true
		}
		return UnitFile{}, false
	}
}
