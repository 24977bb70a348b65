package svscan

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/svcompat"
)

const (
	maxServices = 1000
	maxLogName  = 255 // longest name, in bytes, of a service with a log
	lookEvery   = 5 * time.Second
)

// Svscan starts a supervise for each directory, and each log, in a scan
// directory, and looks there again every five seconds. It never ends by
// itself. Where systemd started it, or with --systemd, systemd runs the
// services, and svscan makes them look as if supervise kept them.
func Svscan(args []string) int {
	withSystemd := startedAsUnit()
	if len(args) > 1 && args[1] == "--systemd" {
		withSystemd = true
		args = args[1:]
	}
	dir := "."
	if len(args) > 1 {
		dir = args[1]
	}
	if withSystemd {
		path, err := filepath.Abs(dir)
		if err != nil {
			return command.Fatal("svscan", "unable to find "+dir, err)
		}
		scanUnits(path)
		return command.ExitTemporary
	}
	if err := unix.Chdir(dir); err != nil {
		return command.Fatal("svscan", "unable to chdir to "+dir, err)
	}
	s := &scanner{services: make(map[identity]*scanned), env: os.Environ()}
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
}

func (s *scanner) reap() {
	for {
		pid, ok := svcompat.Reap()
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
	entries, err := readEntries(".")
	for _, entry := range entries {
		s.visit(entry.name)
	}
	if err != nil {
		warn("unable to read directory", err)
		return
	}
	for id, service := range s.services {
		if !service.seen && service.pid == 0 && service.logPID == 0 {
			s.forget(id, service)
		}
	}
}

func (s *scanner) forget(id identity, service *scanned) {
	if service.log {
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
	if service == nil {
		if service = s.meet(name); service == nil {
			return
		}
		s.services[id] = service
	}
	service.seen = true
	stdout := 1
	if service.log {
		stdout = service.pipe[1]
	}
	if service.pid == 0 {
		service.pid = s.startSupervise(name, name, "", 0, stdout)
	}
	if service.log && service.logPID == 0 {
		service.logPID = s.startSupervise(name+"/log", "log", name, service.pipe[0], 1)
	}
}

// meet prepares a service that is seen for the first time; it returns nil
// where that failed.
func (s *scanner) meet(name string) *scanned {
	if len(s.services) >= maxServices {
		warn("unable to start "+name+": running too many services", nil)
		return nil
	}
	service := &scanned{}
	if len(name) > maxLogName {
		return service
	}
	var info unix.Stat_t
	err := unix.Stat(name+"/log", &info)
	switch err {
	case nil:
		if err := unix.Pipe2(service.pipe[:], unix.O_CLOEXEC); err != nil {
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
		pid, pidfd, err = svcompat.StartProcess(path, []string{"supervise", dir}, s.env, in, stdin, stdout)
		unix.Close(pidfd)
	}
	switch {
	case err == nil:
		return pid
	case svcompat.IsForkFailure(err):
		warn("unable to fork for "+service, err)
	default:
		warn("unable to start supervise "+service, err)
	}
	return 0
}

func warn(what string, err error) {
	command.Warning("svscan", what, err)
}
