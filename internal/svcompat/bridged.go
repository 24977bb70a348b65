package svcompat

import (
	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/units"
)

// A bridged is a service directory whose process, and whose log's, systemd
// keeps in units of its own.
type bridged struct {
	bridge *bridge
	name   string // in the scan directory, when it was first seen
	dir    string // absolute
	base   string // of the names of its units
	main   *unitDir
	log    *unitDir // nil: it has none
	pipe   int      // its log FIFO, open for reading and writing; -1: not yet
	edits  edits
	gone   bool // its entry in the scan directory was not there at the last look
}

func newBridged(b *bridge, name, dir string, read units.Service) *bridged {
	service := &bridged{bridge: b, name: name, dir: dir, base: read.Base, pipe: -1}
	service.main = &unitDir{
		service: service, dir: dir, name: name,
		unit: read.Base + ".service", sockets: read.SocketUnits(),
	}
	b.watched[service.main.unit] = service.main
	if read.Log {
		service.log = &unitDir{
			service: service, dir: dir + "/log", name: name + "/log",
			unit: read.Base + "-log.service", sockets: []string{read.Base + "-log.socket"},
		}
		b.watched[service.log.unit] = service.log
	}
	return service
}

// visit is what a look does for the service.
func (service *bridged) visit() {
	service.gone = false
	if service.log != nil {
		service.holdPipe()
		service.log.hold()
	}
	service.main.hold()
	service.checkUnit()
	service.checkEdits()
}

// checkUnit complains of a unit that systemd will not run.
func (service *bridged) checkUnit() {
	for _, s := range []*unitDir{service.main, service.log} {
		if s == nil || s.state.Load == "" {
			continue
		}
		subject := s.name + " unit"
		if s.state.Load == "loaded" {
			service.bridge.content(subject)
		} else {
			service.bridge.complain(subject, "systemd does not run "+s.unit+": it is "+s.state.Load, nil)
		}
	}
}

// held tells whether somebody may still control the service.
func (service *bridged) held() bool {
	return service.main.held != nil || service.log != nil && service.log.held != nil
}

// forget gives up a service that is gone.
func (service *bridged) forget() {
	b := service.bridge
	delete(b.watched, service.main.unit)
	if service.log != nil {
		delete(b.watched, service.log.unit)
	}
	if service.pipe >= 0 {
		unix.Close(service.pipe)
		systemd.Forget(service.pipeName())
	}
}
