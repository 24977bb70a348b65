package svscan

import (
	"os"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

// fifosEvery is in how many looks the FIFOs of a directory are looked at once.
const fifosEvery = 12

// A bridged is a service directory whose process, and whose log's, systemd
// keeps in units.
type bridged struct {
	bridge *bridge
	name   string // in the scan directory, when it was first seen
	dir    string // absolute
	base   string // of the names of its units
	read   units.Service
	main   *unitDir
	log    *unitDir // nil: it has none
	all    []*unitDir
	pipe   int // its log FIFO, open for reading and writing; -1: not yet

	stamps   stamps
	seen     bool // in the look at hand
	gone     bool // its entry was not there at the last look
	deleted  bool // so was the directory itself
	claimed  bool // some part of it was held once, by this svscan or an earlier one
	recorded bool // for svscan-generator, and for the next svscan
	inSync   bool // systemd has the units that the directory makes
	asked    bool // a reload was to bring them
	edit     edit
	made     map[string]bool // units that are made from the directory
}

// newBridged makes a service of a directory. first says that no svscan has
// held it since the machine was booted.
func newBridged(b *bridge, read units.Service, first bool) *bridged {
	service := &bridged{bridge: b, name: read.Name, dir: read.Dir, base: read.Base, pipe: -1, gone: read.Gone, claimed: !first}
	service.main = newUnitDir(service, "", first)
	service.all = []*unitDir{service.main}
	if read.Log {
		service.addLog(first)
	}
	return service
}

func (service *bridged) addLog(fresh bool) {
	service.log = newUnitDir(service, "/log", fresh)
	service.all = []*unitDir{service.log, service.main}
}

func newUnitDir(service *bridged, below string, fresh bool) *unitDir {
	s := &unitDir{
		service: service, dir: service.dir + below, name: service.name + below, fresh: fresh,
		unit: service.base + ".service", socketStates: map[string]manager.State{},
	}
	if below != "" {
		s.unit, s.sockets = service.base+"-log.service", []string{service.base + "-log.socket"}
	}
	return s
}

// take takes over what the directory says now.
func (service *bridged) take(read units.Service) {
	known := service.read.Name != ""
	same := reflect.DeepEqual(read, service.read)
	service.read = read
	service.watchSettings()
	if same {
		return
	}
	service.inSync, service.asked = false, false
	if read.Log && service.log == nil {
		service.addLog(true)
		report(service.name + ": log/ has come: the output goes there when the service starts next")
	}
	sockets := read.SocketUnits()
	for _, socket := range service.main.sockets {
		if !slices.Contains(sockets, socket) {
			service.main.oldSockets = append(service.main.oldSockets, socket)
		}
	}
	service.main.sockets = sockets
	if known {
		service.watchSockets()
	}
}

// watchSockets begins to watch sockets that were not there when the service
// was taken over.
func (service *bridged) watchSockets() {
	b, s := service.bridge, service.main
	var names []string
	for _, socket := range s.sockets {
		if b.units[socket] != s {
			names = append(names, socket)
		}
	}
	if s.held == nil || len(names) == 0 {
		return
	}
	states, err := b.watch(names)
	if err != nil {
		b.complain("watch", "unable to watch units", err)
		return
	}
	for socket, state := range states {
		b.units[socket], s.socketStates[socket] = s, state
	}
}

// watchSettings has edits of what the sockets depend on noticed at once.
func (service *bridged) watchSettings() {
	if service.read.Listen == nil {
		return
	}
	for _, dir := range []string{"/env", "/systemd"} {
		service.bridge.notices.watch(service.dir+dir, inSettings)
	}
}

// visit is what a look does for the service.
func (service *bridged) visit() {
	b := service.bridge
	if service.gone {
		service.checkDeleted()
	}
	if (service.read.Ino+b.looks)%fifosEvery == 0 {
		service.checkFIFOs()
	}
	for _, s := range service.all {
		s.retry()
	}
}

// checkFIFOs complains of FIFOs that are none any more.
func (service *bridged) checkFIFOs() {
	for _, s := range service.all {
		if s.held != nil {
			s.checkFIFOs()
		}
	}
	if service.log != nil && service.log.held != nil {
		service.checkPipe()
	}
}

// checkDeleted meets a service directory that was removed while somebody
// held it: what runs goes on, and is not started again.
func (service *bridged) checkDeleted() {
	var info unix.Stat_t
	err := unix.Stat(service.dir, &info)
	if err == nil && info.Dev == service.read.Dev && info.Ino == service.read.Ino {
		return
	}
	service.deleted = true
	service.bridge.complain(service.name+" deleted", service.dir+" is gone: "+service.name+" is given up when it is down", nil)
	for _, s := range service.all {
		if s.held != nil && s.state.MainPID == 0 {
			s.exit = true
			s.ask(operation{stop: true})
		}
	}
}

// isHeld tells whether all of the service can be controlled here.
func (service *bridged) isHeld() bool {
	for _, s := range service.all {
		if s.held == nil {
			return false
		}
	}
	return true
}

// record tells svscan-generator, and an svscan that comes later, that the
// directory is held.
func (service *bridged) record() {
	if service.recorded {
		return
	}
	b := service.bridge
	if err := service.heldRecord().Write(units.HeldDir); err != nil {
		b.complain("held", "unable to write "+units.HeldDir, err)
		return
	}
	b.content("held")
	service.recorded = true
}

func (service *bridged) heldRecord() units.Held {
	return units.Held{Base: service.base, Name: service.name, Dir: service.dir, Dev: service.read.Dev, Ino: service.read.Ino}
}

// compare compares the units that the directory makes with those that systemd
// has.
func (service *bridged) compare(look units.Lookup) {
	b := service.bridge
	service.record()
	files, _ := units.GenerateOne(service.read, look)
	if service.log != nil {
		service.log.woken = units.WakesLog(service.base, look)
	}
	service.made = map[string]bool{}
	service.inSync = true
	late := map[string]string{}
	for _, unit := range service.read.Units() {
		service.made[unit] = files[unit] != ""
		for _, name := range []string{unit, unit + ".d/05-svcompat.conf"} {
			text, _ := os.ReadFile(units.LateDir + "/" + name)
			late[name] = string(text)
			if late[name] != files[name] {
				service.inSync = false
			}
		}
	}
	subject := service.name + " units"
	switch {
	case service.inSync:
		b.content(subject)
	case service.asked && !b.reload.running:
		if b.generatorMissing() {
			b.complain("generator", "svscan-generator is not installed: directories that have no units are left alone", nil)
		} else {
			b.complain(subject, "svscan-generator makes no units for "+service.name, nil)
		}
	case !service.asked:
		service.noteEdit(late, files)
	}
}

// generatorMissing tells whether systemd has no svscan-generator.
func (b *bridge) generatorMissing() bool {
	for _, dir := range []string{"/run", "/etc", "/usr/local/lib", "/usr/lib", "/lib"} {
		if _, err := os.Stat(dir + "/systemd/system-generators/svscan-generator"); err == nil {
			return false
		}
	}
	return true
}

// begin starts what is to be started: what svscan has not held before, and
// has units that nobody else made.
func (service *bridged) begin() {
	if !service.inSync || !service.isHeld() {
		return
	}
	main, log := service.main, service.log
	pulled := main.isDue() && main.mode() == manager.WithDependencies
	if log != nil {
		if log.isDue() && !pulled {
			log.ask(operation{start: true})
		}
		log.fresh = false
	}
	if main.isDue() {
		main.ask(operation{start: true})
	}
	main.fresh = false
}

// checkUnits complains of units that systemd cannot run. One that is masked
// is meant to be.
func (service *bridged) checkUnits() {
	b := service.bridge
	for _, s := range service.all {
		subject := s.name + " unit"
		switch s.state.Load {
		case "loaded", "masked", "not-found", "":
			b.content(subject)
		default:
			b.complain(subject, "systemd does not run "+s.unit+": it is "+s.state.Load+" (systemctl status "+s.unit+")", nil)
		}
	}
}

// isOver tells whether the service is to be forgotten.
func (service *bridged) isOver() bool {
	for _, s := range service.all {
		if s.held != nil || service.claimed && !s.left && !service.deleted {
			return false
		}
	}
	return service.gone
}

// forget gives up a service that is over.
func (service *bridged) forget() {
	b := service.bridge
	for _, s := range service.all {
		names := append([]string{s.unit}, s.sockets...)
		for _, name := range names {
			delete(b.units, name)
		}
		b.manager.Unwatch(names...)
		os.Remove(s.exitFlag())
		os.Remove(s.downFlag())
	}
	if service.claimed && service.log != nil && !isLive(&service.log.state) && !isLive(&service.main.state) {
		for _, socket := range service.log.sockets {
			b.manager.Stop(socket)
		}
	}
	if service.pipe >= 0 {
		unix.Close(service.pipe)
		systemd.Forget(service.pipeName())
	}
	if err := service.heldRecord().Remove(units.HeldDir); err != nil {
		b.complain("held", "unable to write "+units.HeldDir, err)
	}
	for subject := range b.said {
		if strings.HasPrefix(subject, service.name+" ") || strings.HasPrefix(subject, service.name+"/log ") {
			b.content(subject)
		}
	}
}
