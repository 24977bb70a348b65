package migrate

import (
	"bytes"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is what /proc tells of one.
type process struct {
	pid    int
	parent int
	name   string // of its program, at most 15 bytes
}

// processes returns the processes that see the same files as this one:
// not those of containers.
func processes() (map[int]process, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	here, _ := os.Readlink("/proc/self/ns/mnt")
	all := map[int]process{}
	for _, entry := range names {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(procFile(pid, "stat"))
		if err != nil {
			continue
		}
		p, ok := parseStat(stat)
		if ns, err := os.Readlink(procFile(pid, "ns/mnt")); ok && (err != nil || ns == here) {
			all[pid] = p
		}
	}
	return all, nil
}

// parseStat reads /proc/PID/stat, where the name may hold any byte.
func parseStat(stat []byte) (p process, ok bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return p, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 || fields[0] == "Z" {
		return p, false
	}
	var err, parentErr error
	p.name = string(stat[open+1 : end])
	p.pid, err = strconv.Atoi(strings.TrimSpace(string(stat[:open])))
	p.parent, parentErr = strconv.Atoi(fields[1])
	return p, err == nil && parentErr == nil
}

func procFile(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// args returns the command line of a process.
func (p process) args() []string {
	return p.list("cmdline")
}

// environ returns the environment that a process was started with.
func (p process) environ() []string {
	return p.list("environ")
}

func (p process) list(name string) []string {
	content, _ := os.ReadFile(procFile(p.pid, name))
	if len(content) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
}

// cwd returns the working directory of a process.
func (p process) cwd() string {
	dir, _ := os.Readlink(procFile(p.pid, "cwd"))
	return dir
}

// identity identifies the working directory of a process.
func (p process) identity() identity {
	return identify(procFile(p.pid, "cwd"))
}

// ours tells whether a process runs this program, or one that an upgrade has
// replaced by it.
func (p process) ours() bool {
	exe, _ := os.Readlink(procFile(p.pid, "exe"))
	self, err := os.Executable()
	return err == nil && strings.TrimSuffix(exe, " (deleted)") == self
}

// isOfUnits tells whether a process of ours is the svscan that services are
// moved to, or a command that their units execute.
func (p process) isOfUnits() bool {
	args := p.args()
	return p.unit() == ourUnit || len(args) > 0 && strings.HasPrefix(args[0], ".")
}

// unit returns the systemd unit that a process belongs to.
func (p process) unit() string {
	content, _ := os.ReadFile(procFile(p.pid, "cgroup"))
	for _, line := range strings.Split(string(content), "\n") {
		_, group, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "::")
		if ok {
			return path.Base(group)
		}
	}
	return ""
}

// An identity is what makes two names the same directory; zero: there is
// none.
type identity struct{ dev, ino uint64 }

func identify(path string) identity {
	var info unix.Stat_t
	if unix.Stat(path, &info) != nil {
		return identity{}
	}
	return identity{info.Dev, info.Ino}
}

// realPath returns an absolute path without links.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// A pidfd refers to one process, whatever becomes of its number; below 0, to
// one that has ended.
type pidfd int

func openPidfd(pid int) pidfd {
	if pid == 0 {
		return -1
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	return pidfd(fd)
}

func (fd pidfd) signal(signal unix.Signal) error {
	if fd < 0 {
		return nil
	}
	err := unix.PidfdSendSignal(int(fd), signal, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

func (fd pidfd) close() {
	if fd >= 0 {
		unix.Close(int(fd))
	}
}
