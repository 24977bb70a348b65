package migrate

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/svcompat"
	"qmail-smtpd/units"
)

// scanDir is the scan directory that services are moved to.
const scanDir = "/service"

// A tree is a scan directory with its services.
type tree struct {
	dir      string
	scanner  *scanner // nil: none runs
	services []*service
	refused  []units.Refusal // entries that cannot be moved
	missing  []units.Refusal // entries that lead nowhere
}

// A service is one service directory of a tree.
type service struct {
	units.Service
	entry string // its path in the scan directory
	main  keeper
	log   keeper
	held  bool // by svscan already

	differs []string // what will not be as it was
	lost    []string // what will not be at all
}

// A keeper is who keeps a process of a service running, and how that is.
type keeper struct {
	dir string
	*kind
	process      // the supervisor; its pid is 0 where there is none
	pid     int  // of the process that it keeps, 0: that is down
	wantUp  bool // it is started again when it ends
	once    bool // it runs, and is not started again
	paused  bool
}

// readTree reads the scan directory dir, where scanner runs, or none.
func readTree(dir string, scanner *scanner, all map[int]process, look units.Lookup) (*tree, error) {
	held, _ := units.ReadHeld(units.HeldDir)
	found, refused, err := units.Scan(dir, held, look)
	if err != nil {
		return nil, err
	}
	t := &tree{dir: dir, scanner: scanner}
	for _, r := range refused {
		switch {
		case !strings.HasPrefix(r.Path+"/", dir+"/"):
		case r.Missing:
			t.missing = append(t.missing, r)
		default:
			t.refused = append(t.refused, r)
		}
	}
	supervisors := supervisorsByDir(all)
	owners := unitOwners(dir, held, look)
	for _, u := range found {
		if u.Gone {
			continue
		}
		s := &service{Service: u, entry: dir + "/" + u.Name}
		s.held = slices.ContainsFunc(held, func(h units.Held) bool { return h.Dev == u.Dev && h.Ino == u.Ino })
		s.readKeepers(supervisors)
		if reason := s.wrong(dir, owners); reason != "" {
			t.refused = append(t.refused, units.Refusal{Name: u.Name, Path: s.entry, Reason: reason})
			continue
		}
		t.services = append(t.services, s)
	}
	return t, nil
}

// supervisorsByDir finds the supervisors by the directory that each has gone
// to.
func supervisorsByDir(all map[int]process) map[identity]keeper {
	found := map[identity]keeper{}
	for _, p := range all {
		for _, k := range kinds {
			if k.supervisor == p.name {
				found[p.identity()] = keeper{kind: k, process: p}
			}
		}
	}
	return found
}

// readKeepers finds who keeps the service and its log: with runit, one does
// both.
func (s *service) readKeepers(supervisors map[identity]keeper) {
	s.main = readKeeper(supervisors, s.Dir)
	if !s.Log {
		return
	}
	s.log = readKeeper(supervisors, s.Dir+"/log")
	if s.main.kind == runit && s.log.process.pid == 0 {
		s.log.kind, s.log.process = runit, s.main.process
		s.log.read()
	}
}

func readKeeper(supervisors map[identity]keeper, dir string) keeper {
	k := supervisors[identify(dir)]
	k.dir = dir
	k.read()
	return k
}

// read reads the state of the process that the supervisor keeps.
func (k *keeper) read() {
	k.pid, k.wantUp, k.once, k.paused = 0, false, false, false
	if k.process.pid == 0 {
		return
	}
	if k.kind == s6 {
		out, err := exec.Command("s6-svstat", "-o", "pid,wantedup,paused", k.dir).Output()
		words := strings.Fields(string(out))
		if err != nil || len(words) != 3 {
			return
		}
		if pid, err := strconv.Atoi(words[0]); err == nil && pid > 0 {
			k.pid = pid
		}
		k.wantUp, k.paused = words[1] == "true", words[2] == "true"
		return
	}
	status, ok := readStatus(k.dir)
	if !ok {
		return
	}
	k.pid = int(status.PID)
	k.wantUp = status.Want == svcompat.WantUp
	k.once = k.pid != 0 && status.Want == svcompat.WantOnce
	k.paused = k.pid != 0 && status.Paused
}

// readStatus reads supervise/status of the service directory dir, which runit
// keeps in the format of daemontools, with two bytes more.
func readStatus(dir string) (status svcompat.Status, ok bool) {
	content, err := os.ReadFile(dir + "/supervise/status")
	if err == nil {
		status, err = svcompat.ParseStatus(content)
	}
	return status, err == nil
}

// unitOwners returns who has the units of the services that svscan has in its
// own scan directory, unless that is dir.
func unitOwners(dir string, held []units.Held, look units.Lookup) map[string]units.Service {
	owners := map[string]units.Service{}
	if sameDir(dir, scanDir) {
		return owners
	}
	services, _, _ := units.Scan(scanDir, held, look)
	for _, s := range services {
		for _, unit := range s.Units() {
			owners[unit] = s
		}
	}
	return owners
}

// wrong says why a service cannot be moved; empty: it can.
func (s *service) wrong(dir string, owners map[string]units.Service) string {
	for _, unit := range s.Units() {
		if owner, is := owners[unit]; is && (owner.Dev != s.Dev || owner.Ino != s.Ino) {
			return unit + " is of " + scanDir + "/" + owner.Name
		}
	}
	inPlace := sameDir(dir, scanDir)
	if id := identify(scanDir + "/" + s.Name); !inPlace && id != (identity{}) && id != (identity{s.Dev, s.Ino}) {
		return scanDir + "/" + s.Name + " is another service"
	}
	for _, k := range []keeper{s.main, s.log} {
		if k.process.pid == 0 {
			continue
		}
		var info unix.Stat_t
		if unix.Stat(procFile(k.process.pid, "."), &info) == nil && info.Uid != 0 {
			return "its " + k.supervisor + " runs as uid " + strconv.FormatUint(uint64(info.Uid), 10) + ", a unit would run it as root"
		}
		if inPlace && k.kind.unseen {
			return "services of " + k.kind.name + " cannot be moved inside " + scanDir + ": svscan does not see the locks of " + k.supervisor
		}
	}
	var fs unix.Statfs_t
	if unix.Statfs(s.Dir, &fs) == nil && fs.Type == unix.TMPFS_MAGIC {
		return "it is in memory, and gone after the next boot: keep the service directory on disk"
	}
	return ""
}
