package svscan

import (
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/svcompat"
)

// An edit is what the services of a directory have to go through for units
// that have changed, once systemd has read them.
type edit struct {
	sockets bool // the addresses
	network bool // the network of the machine comes or goes
	restart bool // svc -t asked for it
}

// hasEdits tells whether something was edited that systemd does not know yet;
// the service is restarted then, as soon as it does.
func (service *bridged) hasEdits() bool {
	b := service.bridge
	var info unix.Stat_t
	if b.manager == nil || unix.Stat(service.dir, &info) != nil {
		return false
	}
	if service.stamps.update(service.dir, &info) {
		b.scan()
		b.reconcile()
	}
	if service.inSync || service.asked && !b.reload.running {
		return false
	}
	service.edit.restart = true
	return true
}

// noteEdit notes what is different between the units that systemd has and
// those that the directory makes. Both are texts by the name of the file.
func (service *bridged) noteEdit(have, want map[string]string) {
	main := service.base + ".service"
	if service.made[main] && have[main] == "" {
		return // it is new
	}
	for _, unit := range service.main.sockets {
		if socketSection(have, unit) != socketSection(want, unit) {
			service.edit.sockets = true
		}
	}
	if len(service.main.oldSockets) > 0 {
		service.edit.sockets = true
	}
	if hasNetwork(have, main) != hasNetwork(want, main) {
		service.edit.network = true
	}
}

// socketSection returns the settings of the socket that a unit and its
// drop-in make.
func socketSection(files map[string]string, unit string) string {
	var b strings.Builder
	for _, name := range []string{unit, unit + ".d/05-svcompat.conf"} {
		section := ""
		for _, line := range strings.Split(files[name], "\n") {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || strings.ContainsAny(line[:1], "#;"):
			case strings.HasPrefix(line, "["):
				section = line
			case section == "[Socket]":
				b.WriteString(line + "\n")
			}
		}
	}
	return b.String()
}

// hasNetwork tells whether a unit with a network of its own is to have that
// of the machine.
func hasNetwork(files map[string]string, unit string) bool {
	return strings.Contains(files[unit+".d/05-svcompat.conf"], "\nPrivateNetwork=no\n")
}

// finishEdit makes the sockets and the service anew where units that systemd
// has just read ask for it, and where they are up.
func (service *bridged) finishEdit() {
	done := service.edit
	tried := service.asked && !service.bridge.reload.running
	if done == (edit{}) || !service.inSync && !tried {
		return
	}
	service.edit = edit{}
	s := service.main
	if service.inSync {
		service.reportEdit(done)
	}
	switch {
	case !service.isUp():
	case done.sockets:
		s.ask(operation{stop: true, start: true})
	case done.restart, done.network && s.status.Want != svcompat.WantOnce:
		s.signal(unix.SIGTERM) // a job could bring it back where somebody stops it
	}
}

func (service *bridged) reportEdit(done edit) {
	read := service.read
	if done.network {
		if read.NeedsNetwork() {
			report(service.name + ": look-ups are asked for: " + service.main.unit + " gets the network")
		} else {
			report(service.name + ": no look-ups any more: " + service.main.unit + " gives up the network")
		}
	}
	if done.sockets {
		var addresses []string
		for _, listen := range read.Listen {
			addresses = append(addresses, listen.Address)
		}
		sort.Strings(addresses)
		report(service.name + ": env/ has changed: systemd listens on " + strings.Join(addresses, " ") + " now")
	}
}

// isUp tells whether the service, or one of its sockets, is up, and is not on
// its way down.
func (service *bridged) isUp() bool {
	s := service.main
	switch {
	case s.status.Want == svcompat.WantDown && (s.status.PID != 0 || !s.isIdle()):
		return false
	case s.status.PID != 0 || s.status.Want == svcompat.WantUp:
		return true
	}
	for _, state := range s.socketStates {
		if state.Active == "active" {
			return true
		}
	}
	return false
}

// removeRuntimeDropIns removes the drop-ins that svscan wrote before
// svscan-generator did.
func (b *bridge) removeRuntimeDropIns() {
	old, _ := filepath.Glob("/run/systemd/system/*.d/05-svcompat.conf")
	for _, path := range old {
		if os.Remove(path) == nil {
			os.Remove(filepath.Dir(path))
			b.reload.due = true
		}
	}
}
