package preflight

import (
	"os"
	"path/filepath"
)

// A directory is a service directory whose process holds a port.
type directory struct {
	path     string
	hint     string
	commands []string
}

// supervised finds the service directory that keeps a process running: that of
// an ancestor, or that of a unit of svscan.
func (h host) supervised(pid process) (directory, bool) {
	for pid > 1 {
		keeper := h.parent(pid)
		dir := h.link(proc(pid, "cwd"))
		switch h.comm(keeper) {
		case "supervise":
			dir = h.link(proc(keeper, "cwd"))
			return h.ofSvscan(dir, h.link(proc(h.parent(keeper), "cwd")), h.comm(h.parent(keeper)) == "svscan"), true
		case "runsv":
			dir = h.link(proc(keeper, "cwd"))
			return h.ofAnother(dir, "sv down "), true
		case "s6-supervise":
			dir = h.link(proc(keeper, "cwd"))
			return h.ofAnother(dir, "s6-svc -d "), true
		case "systemd":
			if dir != "" && keeper == 1 && h.exists(dir+"/supervise/control") && h.entry("/service", dir) != "" {
				found := h.ofSvscan(dir, "/service", true)
				found.hint = ""
				return found, true
			}
		}
		if h.session(pid) != h.session(keeper) {
			break // it was started by somebody who is logged in
		}
		pid = keeper
	}
	return directory{}, false
}

const migrate = "svcompat-migrate can move it to systemd as it is"

// ofSvscan is the directory dir, which svscan has in its scan directory.
func (h host) ofSvscan(dir, scan string, svscan bool) directory {
	found := directory{path: dir, hint: migrate}
	entry := ""
	if svscan {
		entry = h.entry(scan, dir)
	}
	if entry == "" {
		found.commands = []string{"touch " + quoted(dir+"/down"), "svc -d " + quoted(dir)}
		return found
	}
	take := "rm " + quoted(entry)
	if h.link(entry) == "" { // not a link, so that it is to be kept
		moved := filepath.Join(filepath.Dir(entry), "."+filepath.Base(entry))
		take = "mv " + quoted(entry) + " " + quoted(moved)
		dir = moved
	}
	end := "svc -dx " + quoted(dir)
	if h.exists(found.path + "/log") {
		end += " " + quoted(dir+"/log")
	}
	found.commands = []string{take, end}
	return found
}

// ofAnother is a directory of runit or s6.
func (h host) ofAnother(dir, down string) directory {
	return directory{dir, migrate, []string{"touch " + quoted(dir+"/down"), down + quoted(dir)}}
}

// entry returns the path of a service directory in a scan directory.
func (h host) entry(scan, dir string) string {
	entries, err := os.ReadDir(h.root + scan)
	if scan == "" || err != nil {
		return ""
	}
	for _, entry := range entries {
		path := filepath.Join(scan, entry.Name())
		if entry.Name()[0] != '.' && h.path(path) == h.path(dir) {
			return path
		}
	}
	return ""
}
