package svscan

import (
	"os"

	"qmail-smtpd/internal/svcompat"
)

// onceFlag is the file that keeps systemd from starting the unit again: its
// unit has it as a condition. It does so while svscan is not there, too.
func (s *unitDir) onceFlag() string { return s.flag(".once") }

// setOnce has the process that runs be the last one.
func (s *unitDir) setOnce() {
	if s.flagged || s == s.service.log {
		return // whose unit has no such condition
	}
	b := s.service.bridge
	if err := os.WriteFile(s.onceFlag(), nil, 0o644); err != nil {
		b.complain(s.name+" once", "unable to make "+s.onceFlag(), err)
		return
	}
	b.content(s.name + " once")
	s.flagged = true
}

// clearOnce has the unit be started again.
func (s *unitDir) clearOnce() {
	if s.flagged {
		os.Remove(s.onceFlag())
		s.flagged = false
	}
}

// takeOnce takes over the flag that an earlier svscan left.
func (s *unitDir) takeOnce() {
	s.flagged = exists(s.onceFlag())
	if s.state.MainPID != 0 {
		if s.flagged {
			s.status.Want = svcompat.WantOnce
		} else if s.status.Want == svcompat.WantOnce && !s.fresh {
			s.setOnce()
		}
		return
	}
	if s.flagged || s.status.Want == svcompat.WantOnce && isLive(&s.state) {
		s.endOnce()
	}
}

func (s *unitDir) hasActiveSocket() bool {
	for _, socket := range s.sockets {
		if s.socketStates[socket].Active == "active" {
			return true
		}
	}
	return false
}

// endOnce is what happens when the one run is over: nobody waits for clients
// any more.
func (s *unitDir) endOnce() {
	s.ask(operation{stop: true, endOnce: true})
}
