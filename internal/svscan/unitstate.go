package svscan

import (
	"context"
	"strings"
	"time"

	"qmail-smtpd/internal/svcompat"
	"qmail-smtpd/internal/systemd/manager"
)

const (
	// upLongEnough is how long a process must have run to be started again at
	// once when it ends; otherwise systemd waits a second.
	upLongEnough = time.Second

	// restartAlone is how long after its start a service that ended before is
	// started again where systemd, a second after its end, would start its log
	// as well.
	restartAlone = 900 * time.Millisecond

	// restartSoonest is how long after its end systemd leaves a service alone.
	restartSoonest = 950 * time.Millisecond
)

// isLive tells whether systemd has the unit up, or on its way up or down.
func isLive(state *manager.State) bool {
	return state.Active != "inactive" && state.Active != "failed" && state.Active != ""
}

// isWaiting tells whether the unit waits to be started again.
func isWaiting(state *manager.State) bool {
	return strings.HasPrefix(state.Sub, "auto-restart")
}

// changed takes over a state that systemd tells of.
func (s *unitDir) changed(state manager.State) {
	old := s.state
	s.state = state
	if s.held == nil {
		return
	}
	if !state.Started.IsZero() && !state.Started.Equal(old.Started) {
		svcompat.RecordStart(s.dir, state.Started)
	}
	s.settle()
	s.foiled(&old, &state)
	if state.MainPID != 0 && s.status.Want == svcompat.WantOnce {
		s.setOnce()
	}
	if isWaiting(&state) && !isWaiting(&old) {
		s.ended()
	}
	s.maybeExit()
}

// ended goes on when the process has ended by itself.
func (s *unitDir) ended() {
	if s.busy {
		return
	}
	life := s.state.Ended.Sub(s.state.Started)
	switch {
	case s.status.Want == svcompat.WantOnce:
		s.endOnce()
	case s.exit && s.service.gone:
		s.ask(operation{stop: true})
	case s.status.Want != svcompat.WantUp:
	case life >= upLongEnough:
		s.hurry(0)
	case s.mode() == manager.Alone:
		s.hurry(time.Until(s.state.Started.Add(restartAlone)))
	}
}

// hurry has a service that waits for its restart started after wait, before
// systemd does.
func (s *unitDir) hurry(wait time.Duration) {
	b := s.service.bridge
	if s.hurrying || b.manager == nil {
		return
	}
	s.hurrying = true
	m, mode := b.manager, s.mode()
	restart := func() {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		// It may run by now, and is not to be disturbed then.
		var job *manager.Job
		if sub, err := m.Sub(ctx, s.unit); err == nil && sub == "auto-restart" {
			job = m.Restart(s.unit, mode)
		}
		b.events <- func() {
			s.rushing = false
			s.next()
		}
		if job != nil {
			job.Wait(ctx)
		}
		b.events <- func() {
			s.hurrying = false
			s.settle()
		}
	}
	begin := func() {
		if s.busy { // an operation decides
			s.hurrying = false
			return
		}
		s.rushing = true
		go restart()
	}
	if wait > 0 {
		time.AfterFunc(wait, func() { b.events <- begin })
	} else {
		begin()
	}
}

// settle takes over what systemd's state says of what is wanted, and shows
// it.
func (s *unitDir) settle() {
	if s.held == nil {
		return
	}
	state := &s.state
	switch {
	case isLive(state):
		running := state.MainPID != 0 && state.Active != "deactivating"
		// On its way to a restart it is inactive for a moment, in which a stop
		// of ours may see it down.
		begun := !s.live && !(isWaiting(state) && !s.over.IsZero() && state.Started.Equal(s.over))
		if !s.isStarting() && (begun || running && (s.stopping || s.resting)) {
			s.clearOnce()
			s.status.Want = svcompat.WantUp // somebody else has started it
		}
		s.live = true
		s.stopping = !running && (s.stopping || state.MainPID != 0)
		s.waiting, s.resting = isWaiting(state), false
		if s.stopping && s.isIdle() {
			s.clearOnce() // whoever stops it may start it next
		}
	case state.Job:
	case !s.live || s.isStarting():
		s.resting = true
	case s.isIdle():
		// One that failed to start again was waiting for longer.
		s.stopping = s.stopping || s.waiting && time.Since(state.Ended) < restartSoonest
		s.resting = true
		s.confirmDown()
	default:
		s.live, s.over = false, state.Started // by our doing
	}
	s.show()
}

// confirmDown makes sure that a unit that is inactive is so to stay: on its
// way to a restart it is for a moment, which is over when systemd answers.
func (s *unitDir) confirmDown() {
	b := s.service.bridge
	if b.manager == nil {
		return
	}
	m, seen := b.manager, s.state
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		sub, err := m.Sub(ctx, s.unit)
		b.events <- func() {
			if err == nil && (sub == "dead" || sub == "failed") && s.state == seen && s.live && s.isIdle() && s.held != nil {
				s.down()
			}
		}
	}()
}

// down goes on where the unit has come down without our doing.
func (s *unitDir) down() {
	s.live = false
	switch {
	case s.status.Want == svcompat.WantOnce && s.stopping && s.state.Tried.After(s.state.Ended):
		// Somebody restarted it, which the flag foiled.
		s.clearOnce()
		s.status.Want = svcompat.WantUp
		s.ask(operation{start: true})
	case s.flagged || s.status.Want == svcompat.WantOnce && s.hasActiveSocket():
		s.endOnce()
	case s.status.Want == svcompat.WantUp && (s.state.Active == "inactive" || s.stopping):
		s.status.Want, s.putDown = svcompat.WantDown, true
	}
	s.stopping = false
	s.show()
	s.maybeExit()
}

// show brings the status in line with what systemd says of the process.
func (s *unitDir) show() {
	old := s.status
	state := &s.state
	s.status.PID = state.MainPID
	if old.PID != state.MainPID {
		s.status.Paused = false
	}
	switch {
	case state.MainPID != 0 && !state.Started.IsZero():
		s.status.Since = state.Started
	case state.MainPID == 0 && !state.Ended.IsZero():
		s.status.Since = state.Ended
	case state.MainPID == 0 && !state.Down.IsZero():
		s.status.Since = state.Down
	case old.PID != state.MainPID || old.Since.IsZero():
		s.status.Since = time.Now()
	}
	if s.status != s.shown {
		s.announce()
	}
}

func (s *unitDir) announce() error {
	if s.held == nil {
		return nil
	}
	s.putDown = s.putDown && s.status.Want == svcompat.WantDown
	s.keepDown(s.putDown)
	b := s.service.bridge
	if err := s.held.WriteStatus(s.status); err != nil {
		b.complain(s.name+" status", err.Error(), nil)
		return err
	}
	b.content(s.name + " status")
	s.shown = s.status
	return nil
}
