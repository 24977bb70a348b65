package svscan

import (
	"os"

	"qmail-smtpd/internal/svcompat"
	"qmail-smtpd/internal/systemd/manager"
)

// downFlag is the file that keeps systemd from starting a log that was put
// down whenever it starts the service, which wants it.
func (s *unitDir) downFlag() string { return s.flag(".down") }

// keepDown makes that file for a log, or removes it.
func (s *unitDir) keepDown(down bool) {
	if s != s.service.log || s.keptDown == down {
		return
	}
	var err error
	if down {
		err = os.WriteFile(s.downFlag(), nil, 0o644)
	} else if err = os.Remove(s.downFlag()); os.IsNotExist(err) {
		err = nil
	}
	b := s.service.bridge
	if err != nil {
		b.complain(s.name+" down", "unable to change "+s.downFlag(), err)
		return
	}
	b.content(s.name + " down")
	s.keptDown = down
}

// foiled starts a log after all that somebody else tried to start while it
// was kept down. svscan itself starts a service without its log then.
func (s *unitDir) foiled(old, state *manager.State) {
	if !s.keptDown || s.isStarting() || isLive(state) || !state.Tried.After(old.Tried) {
		return
	}
	s.status.Want = svcompat.WantUp
	s.announce()
	s.ask(operation{start: true})
}
