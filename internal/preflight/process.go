package preflight

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A process of the host, by its id.
type process int

func proc(pid process, file string) string {
	return "/proc/" + strconv.Itoa(int(pid)) + "/" + file
}

// owners finds the processes that have each socket open, by its inode.
func (h host) owners(sockets []socket) map[string][]process {
	owners := map[string][]process{}
	for _, s := range sockets {
		owners[s.inode] = nil
	}
	for _, pid := range h.processes() {
		for _, target := range h.descriptors(pid) {
			inode := strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")
			if pids, is := owners[inode]; is && !slices.Contains(pids, pid) {
				owners[inode] = append(pids, pid)
			}
		}
	}
	return owners
}

// processes lists all processes, the oldest number first.
func (h host) processes() (pids []process) {
	entries, _ := os.ReadDir(h.root + "/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, process(pid))
		}
	}
	slices.Sort(pids)
	return pids
}

// descriptors returns what a process has open, as far as it can be seen.
func (h host) descriptors(pid process) (targets []string) {
	dir := proc(pid, "fd")
	entries, _ := os.ReadDir(h.root + dir)
	for _, entry := range entries {
		if target := h.link(dir + "/" + entry.Name()); target != "" {
			targets = append(targets, target)
		}
	}
	return targets
}

func (h host) parent(pid process) process { return h.stat(pid, 1) }

func (h host) session(pid process) process { return h.stat(pid, 3) }

// stat returns a number of /proc/PID/stat, counted from the state on; 0 where
// there is none.
func (h host) stat(pid process, field int) process {
	stat := h.read(proc(pid, "stat"))
	// the name, in parentheses, may hold anything
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= field {
		return 0
	}
	n, _ := strconv.Atoi(fields[field])
	return process(n)
}

func (h host) comm(pid process) string {
	return strings.TrimSuffix(h.read(proc(pid, "comm")), "\n")
}

// arguments are those that the process was started with, its name first.
func (h host) arguments(pid process) []string {
	return strings.Split(strings.TrimSuffix(h.read(proc(pid, "cmdline")), "\x00"), "\x00")
}

// server returns the process that a server began as: a worker that has the
// socket runs the same program in the same cgroup as its parent.
func (h host) server(pid process) process {
	for {
		up := h.parent(pid)
		exe := h.link(proc(pid, "exe"))
		if up <= 1 || exe == "" || exe != h.link(proc(up, "exe")) || h.read(proc(pid, "cgroup")) != h.read(proc(up, "cgroup")) || h.comm(pid) != h.comm(up) {
			return pid
		}
		pid = up
	}
}

// packageOf names the package that the program of a process is from, where
// dpkg or rpm tells.
func (h host) packageOf(pid process) string {
	path, deleted := strings.CutSuffix(h.link(proc(pid, "exe")), " (deleted)")
	switch {
	case path == "":
		return ""
	case deleted: // an upgrade put another file in its place
		if h.link(proc(pid, "ns/mnt")) != h.link("/proc/self/ns/mnt") {
			return ""
		}
	case !h.same(proc(pid, "exe"), path): // the file of a container
		return ""
	}
	for _, path := range []string{path, strings.TrimPrefix(path, "/usr")} {
		for _, line := range strings.Split(h.output("dpkg", "-S", path), "\n") {
			names, file, ok := strings.Cut(line, ": ")
			if ok && file == path && !strings.HasPrefix(names, "diversion by ") && !strings.Contains(names, ",") {
				name, _, _ := strings.Cut(names, ":") // of an architecture
				return name
			}
		}
	}
	if name := h.output("rpm", "-qf", "--qf", "%{NAME}\n", path); name != "" && !strings.ContainsAny(name, " \n") {
		return name
	}
	return ""
}

// path is that of a directory of the host, without links.
func (h host) path(dir string) string {
	real, err := filepath.EvalSymlinks(h.root + dir)
	if err != nil {
		return dir
	}
	return strings.TrimPrefix(real, h.root)
}
