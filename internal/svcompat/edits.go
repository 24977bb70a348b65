package svcompat

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

// runtimeUnits is where drop-ins go that hold until the machine goes down.
const runtimeUnits = "/run/systemd/system"

// settings are the files of a service directory that units depend on, though
// they were not rendered from it as it is now.
var settings = []string{"env/IP", "env/PORT", "env/BACKLOG", "env/REMOTENAME", "env/REMOTEINFO", "systemd/listen"}

// edits is what svscan knows of the settings of a service directory.
type edits struct {
	seen [6]stamp // of settings, when the units were last compared with them
	done bool     // they were
}

// A stamp changes when a file does.
type stamp struct {
	ino   uint64
	size  int64
	mtime unix.Timespec
}

func (service *bridged) stamps() (now [6]stamp) {
	for i, name := range settings {
		var info unix.Stat_t
		if unix.Stat(service.dir+"/"+name, &info) == nil {
			now[i] = stamp{info.Ino, info.Size, info.Mtim}
		}
	}
	return now
}

// checkEdits compares the settings with the units, and has the units made
// anew where they differ; it tells whether the service restarts for that.
func (service *bridged) checkEdits() (restarts bool) {
	b := service.bridge
	now := service.stamps()
	if b.manager == nil || service.edits.done && now == service.edits.seen {
		return false
	}
	read, err := units.Read(service.dir, service.name)
	if err == nil && !isDecimal(read.Backlog) {
		err = errors.New(service.dir + "/env/BACKLOG: not a number")
	}
	if err != nil {
		b.complain(service.name, service.name, err)
		return false
	}
	b.content(service.name)
	sockets, network, err := service.writeDropIns(read)
	if err != nil {
		b.complain(service.name+" drop-in", "unable to tell systemd of env/ of "+service.name, err)
		return false
	}
	b.content(service.name + " drop-in")
	service.edits.seen, service.edits.done = now, true
	if !sockets && !network {
		return false
	}
	service.remake(read, sockets, network)
	return true
}

func isDecimal(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

// writeDropIns writes the drop-ins that the units need, and removes those
// that they need no more. It tells whether those of the sockets, and that of
// the service, changed.
func (service *bridged) writeDropIns(read units.Service) (sockets, network bool, err error) {
	files, err := service.unitFiles()
	if err != nil {
		return false, false, err
	}
	for unit, text := range units.DropIns(read, files) {
		changed, err := writeDropIn(unit, text)
		if err != nil {
			return sockets, network, err
		}
		if strings.HasSuffix(unit, ".socket") {
			sockets = sockets || changed
		} else {
			network = network || changed
		}
	}
	return sockets, network, nil
}

// unitFiles returns the texts of the unit files that are to be adapted:
// those that came with a package. What is in /etc is the administrator's.
func (service *bridged) unitFiles() (map[string]string, error) {
	files := map[string]string{}
	add := func(unit, file string) error {
		if !strings.HasPrefix(file, "/usr/lib/") && !strings.HasPrefix(file, "/lib/") {
			return nil
		}
		text, err := os.ReadFile(file)
		files[unit] = string(text)
		return err
	}
	if err := add(service.main.unit, service.main.state.File); err != nil {
		return nil, err
	}
	for _, unit := range service.main.sockets {
		socket, err := service.socket(unit)
		if err == nil {
			err = add(unit, socket.File)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// writeDropIn makes the drop-in of a unit what text says, empty for none.
func writeDropIn(unit, text string) (changed bool, err error) {
	path := filepath.Join(runtimeUnits, unit+".d", "05-svcompat.conf")
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if string(old) == text {
		return false, nil
	}
	if text == "" {
		return true, os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	return true, os.WriteFile(path, []byte(text), 0o644)
}

// remake has systemd read the drop-ins, and makes the sockets and the service
// anew where they are up.
func (service *bridged) remake(read units.Service, sockets, network bool) {
	s := service.main
	if network {
		if read.NeedsNetwork() {
			report(service.name + ": env/REMOTENAME or env/REMOTEINFO asks for look-ups: " + s.unit + " gets the network")
		} else {
			report(service.name + ": no look-ups any more: " + s.unit + " gives up the network")
		}
	}
	if sockets {
		var addresses []string
		for _, listen := range read.Listen {
			addresses = append(addresses, listen.Address)
		}
		sort.Strings(addresses)
		report(service.name + ": env/ has changed: systemd listens on " + strings.Join(addresses, " ") + " now")
	}
	switch {
	case !service.isUp():
		s.ask(operation{reload: true})
	case sockets:
		s.ask(operation{stop: true, reload: true, start: true})
	default:
		s.ask(operation{reload: true, restart: true})
	}
}

// isUp tells whether the service, or one of its sockets, is up.
func (service *bridged) isUp() bool {
	if service.main.status.PID != 0 || service.main.status.Want == WantUp {
		return true
	}
	for _, unit := range service.main.sockets {
		if socket, err := service.socket(unit); err == nil && socket.Active == "active" {
			return true
		}
	}
	return false
}

func (service *bridged) socket(unit string) (manager.Socket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return service.bridge.manager.Socket(ctx, unit)
}
