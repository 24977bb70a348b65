package svcompat

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

const (
	maxServices = 1000
	maxLogName  = 255 // longest name, in bytes, of a service with a log
	lookEvery   = 5 * time.Second
)

// Svscan starts a supervise for each directory, and each log, in a scan
// directory, and looks there again every five seconds. It never ends by
// itself. Where systemd started it, or with --systemd, it leaves directories
// that have units to systemd, and makes them look as if supervise kept them.
func Svscan(args []string) int {
	withSystemd := startedAsUnit()
	if len(args) > 1 && args[1] == "--systemd" {
		withSystemd = true
		args = args[1:]
	}
	if len(args) > 1 {
		if err := unix.Chdir(args[1]); err != nil {
			return command.Fatal("svscan", "unable to chdir to "+args[1], err)
		}
	}
	s := &scanner{services: make(map[identity]*scanned), env: os.Environ()}
	if withSystemd {
		scanUnits(s)
	}
	for {
		s.reap()
		s.look()
		time.Sleep(lookEvery)
	}
}

// A scanner is the state of a running svscan, in its scan directory.
type scanner struct {
	services map[identity]*scanned
	env      []string // of the supervises
	bridge   *bridge  // nil: without systemd
}

// An identity is what makes two names the same service.
type identity struct{ dev, ino uint64 }

// A scanned is a service as svscan knows it.
type scanned struct {
	seen   bool // in the look at hand
	pid    int  // of its supervise, 0 when there is none
	log    bool // with a log service, by what was there at first sight
	logPID int
	pipe   [2]int // kept for the log service as long as the service is known

	bridged *bridged // systemd keeps it
	dir     string   // with systemd: absolute, where supervises outlive svscan
}

func (s *scanner) reap() {
	for {
		pid, ok := reap()
		if !ok {
			return
		}
		for _, service := range s.services {
			switch pid {
			case service.pid:
				service.pid = 0
			case service.logPID:
				service.logPID = 0
			}
		}
	}
}

// look starts what should run and does not, and forgets services that are
// gone: not in the scan directory, and with no supervise left.
func (s *scanner) look() {
	for _, service := range s.services {
		service.seen = false
	}
	names, err := readDirNames(".")
	for _, name := range names {
		if !strings.HasPrefix(name, ".") {
			s.visit(name)
		}
	}
	if err != nil {
		warn("unable to read directory", err)
		return
	}
	for id, service := range s.services {
		if service.seen {
			continue
		}
		if service.bridged != nil {
			service.bridged.gone = true
		}
		if service.running() {
			continue
		}
		s.forget(id, service)
	}
}

func (s *scanner) forget(id identity, service *scanned) {
	if service.bridged != nil {
		service.bridged.forget()
	}
	if service.log {
		if s.bridge != nil {
			s.bridge.forgetPipe(id)
		}
		unix.Close(service.pipe[0])
		unix.Close(service.pipe[1])
	}
	delete(s.services, id)
}

func (s *scanner) visit(name string) {
	var info unix.Stat_t
	if err := unix.Stat(name, &info); err != nil {
		warn("unable to stat "+name, err)
		return
	}
	if info.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	id := identity{info.Dev, info.Ino}
	service := s.services[id]
	if service != nil && s.bridge != nil && service.bridged == nil && !service.running() {
		// Units may have come since it was first seen.
		if bridged, _ := s.bridge.meet(name); bridged != nil {
			s.forget(id, service)
			service = &scanned{bridged: bridged}
			s.services[id] = service
		}
	}
	if service == nil {
		if service = s.meet(name, id); service == nil {
			return
		}
		s.services[id] = service
	}
	service.seen = true
	if service.bridged != nil {
		service.bridged.visit()
		return
	}
	stdout := 1
	if service.log {
		stdout = service.pipe[1]
	}
	if service.pid == 0 && !service.adopted("") {
		service.pid = s.startSupervise(name, name, "", 0, stdout)
	}
	if service.log && service.logPID == 0 && !service.adopted("/log") {
		service.logPID = s.startSupervise(name+"/log", "log", name, service.pipe[0], 1)
	}
}

// meet prepares a service that is seen for the first time; it returns nil
// where that failed.
func (s *scanner) meet(name string, id identity) *scanned {
	if len(s.services) >= maxServices {
		warn("unable to start "+name+": running too many services", nil)
		return nil
	}
	service := &scanned{}
	if s.bridge != nil {
		bridged, ok := s.bridge.meet(name)
		if !ok {
			return nil
		}
		service.bridged = bridged
		if bridged != nil {
			return service
		}
		service.dir, _ = realPath(name)
	}
	if len(name) > maxLogName {
		return service
	}
	var info unix.Stat_t
	err := unix.Stat(name+"/log", &info)
	switch err {
	case nil:
		if service.pipe, err = s.makePipe(id); err != nil {
			warn("unable to create pipe for "+name, err)
			return nil
		}
		service.log = true
	case unix.ENOENT:
	default:
		warn("unable to stat "+name+"/log", err)
		return nil
	}
	return service
}

func (s *scanner) makePipe(id identity) (pipe [2]int, err error) {
	if s.bridge != nil {
		return s.bridge.pipeFor(id)
	}
	err = unix.Pipe2(pipe[:], unix.O_CLOEXEC)
	return pipe, err
}

// running tells whether the service is to be remembered though its entry is
// gone.
func (service *scanned) running() bool {
	if service.bridged != nil {
		return service.bridged.held()
	}
	return service.pid != 0 || service.logPID != 0 || service.adopted("") || service.adopted("/log")
}

// adopted tells whether a supervise that an earlier svscan started keeps the
// service, or the log below it. Without systemd it is false, as svscan then
// starts another one, which fails.
func (service *scanned) adopted(below string) bool {
	return service.dir != "" && isSupervised(service.dir+below)
}

// startSupervise starts supervise on dir from the directory in ("" for this
// one) and returns its pid; 0 where that failed, to be tried again at the
// next look. service names the service in messages.
func (s *scanner) startSupervise(service, dir, in string, stdin, stdout int) int {
	if in != "" {
		if err := unix.Access(in, unix.X_OK); err != nil {
			warn("unable to switch to "+in, err)
			return 0
		}
	}
	var pid int
	path, err := command.Find("supervise")
	if err == nil {
		var pidfd int
		pid, pidfd, err = startProcess(path, []string{"supervise", dir}, s.env, in, stdin, stdout)
		unix.Close(pidfd)
	}
	switch {
	case err == nil:
		return pid
	case isForkFailure(err):
		warn("unable to fork for "+service, err)
	default:
		warn("unable to start supervise "+service, err)
	}
	return 0
}

func warn(what string, err error) {
	command.Warning("svscan", what, err)
}

// readDirNames returns the names in the directory dir in the order of the
// directory; together with an error, those before it.
func readDirNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
