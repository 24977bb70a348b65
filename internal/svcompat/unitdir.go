package svcompat

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/systemd/manager"
)

// upLongEnough is how long a process must have run to be started again at
// once when it ends; otherwise systemd waits a second.
const upLongEnough = time.Second

// A unitDir is a service directory, or the log of one, whose process
// systemd keeps: a supervise directory whose letters become operations on
// units, and whose status tells what systemd says.
type unitDir struct {
	service *bridged
	dir     string // absolute
	name    string // in messages
	unit    string // its service unit
	sockets []string

	held       *SuperviseDir // nil: another process holds it, or it was let go
	control    *os.File
	state      manager.State
	status     Status
	exit       bool // asked for by x
	downByHand bool // the last of u and d was d, and nobody has started it since

	busy       bool      // an operation is being done
	pending    operation // to be done after it
	restarting bool
}

// An operation is what units have to go through, in the order of the fields.
type operation struct {
	stop    bool // sockets and service
	reload  bool // of systemd's unit files
	restart bool // of the service alone
	start   bool // sockets and service
}

// hold takes over the supervise directory, where that has not happened.
func (s *unitDir) hold() {
	b := s.service.bridge
	if s.held != nil || b.manager == nil {
		return
	}
	held, err := OpenSuperviseDir(s.dir, s.name)
	if err != nil {
		b.complain(s.name+" held", err.Error(), nil)
		return
	}
	state, ok := b.watch(s)
	if !ok {
		held.Close()
		return
	}
	s.held, s.exit, s.state = held, false, state
	s.status = oldStatus(s.dir)
	s.status.Paused = s.status.Paused && s.status.PID == s.state.MainPID
	s.show()
	if err = s.announce(); err == nil {
		err = held.SetRunning()
	}
	if err != nil {
		b.complain(s.name+" held", err.Error(), nil)
		s.letGo()
		return
	}
	b.content(s.name + " held")
	fd, err := unix.FcntlInt(uintptr(held.Control()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		b.complain(s.name+" held", "unable to read "+s.name+"/supervise/control", err)
		s.letGo()
		return
	}
	s.control = os.NewFile(uintptr(fd), "control")
	go s.readLetters(s.control)
}

// oldStatus returns the status that an earlier svscan, or supervise, left.
func oldStatus(dir string) Status {
	content, err := os.ReadFile(dir + "/supervise/status")
	if err != nil {
		return Status{}
	}
	status, err := ParseStatus(content)
	if err != nil {
		return Status{}
	}
	return status
}

// readLetters passes on the letters of control until it is closed.
func (s *unitDir) readLetters(control *os.File) {
	for {
		letters := make([]byte, 64)
		n, err := control.Read(letters)
		if err != nil {
			return
		}
		s.service.bridge.events <- func() {
			for _, letter := range letters[:n] {
				if s.control == control {
					s.do(letter)
				}
			}
		}
	}
}

// letGo gives up the supervise directory.
func (s *unitDir) letGo() {
	if s.control != nil {
		s.control.Close()
		s.control = nil
	}
	s.held.Close()
	s.held, s.exit = nil, false
}

// do obeys a control letter.
func (s *unitDir) do(letter byte) {
	switch letter {
	case 'u':
		s.downByHand = false
		s.status.Want = WantUp
		s.announce()
		s.ask(operation{start: true})
	case 'o':
		s.downByHand = false
		s.status.Want = WantOnce
		s.announce()
		if s.status.PID == 0 {
			s.ask(operation{start: true})
		}
	case 'd':
		s.downByHand = true
		s.status.Want = WantDown
		s.status.Paused = false
		s.announce()
		s.ask(operation{stop: true})
	case 'p':
		s.signal(unix.SIGSTOP)
		s.status.Paused = true
		s.announce()
	case 'c':
		s.signal(unix.SIGCONT)
		s.status.Paused = false
		s.announce()
	case 'x':
		s.exit = true
		s.announce()
		s.maybeExit()
	default:
		if letter == 't' && s == s.service.main && s.service.checkEdits() {
			return // the edits restart it
		}
		if signal, ok := letterSignal(letter); ok {
			s.signal(signal)
		}
	}
}

// signal signals the process; where systemd cannot be asked, by its pid.
func (s *unitDir) signal(signal unix.Signal) {
	if s.status.PID == 0 {
		return
	}
	if m := s.service.bridge.manager; m != nil {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		err := m.Kill(ctx, s.unit, signal)
		if err == nil {
			return
		}
	}
	unix.Kill(int(s.status.PID), signal)
}

// ask has an operation done after those that were asked for before. What is
// left of an operation that has not begun is what comes out in the end.
func (s *unitDir) ask(op operation) {
	p := &s.pending
	p.reload = p.reload || op.reload
	p.restart = p.restart && !op.stop || op.restart
	p.start = p.start && !op.stop || op.start
	p.stop = p.stop || op.stop
	s.next()
}

// next begins the operation that is pending.
func (s *unitDir) next() {
	b := s.service.bridge
	if s.busy || s.pending == (operation{}) || b.manager == nil {
		return
	}
	op := s.pending
	s.pending, s.busy = operation{}, true
	m, mode := b.manager, s.mode()
	go func() {
		err := s.perform(m, op, mode)
		b.events <- func() {
			s.busy = false
			if err != nil {
				b.complain(s.name+" operation", s.name, err)
			} else {
				b.content(s.name + " operation")
			}
			if b.manager != nil {
				if state, ok := b.watch(s); ok {
					s.changed(state)
				}
			}
			s.next()
			s.maybeExit()
		}
	}()
}

// mode is how the service is to be started: alone where what its unit wants,
// its log, is down because it was asked to be.
func (s *unitDir) mode() manager.Mode {
	if log := s.service.log; s == s.service.main && log != nil && log.downByHand {
		return manager.Alone
	}
	return manager.WithDependencies
}

// perform does an operation. It runs beside the goroutine of the bridge, and
// does not wait until the service is up.
func (s *unitDir) perform(m *manager.Manager, op operation, mode manager.Mode) error {
	ctx := context.Background()
	var first error
	keep := func(unit string, err error) {
		if err != nil && first == nil {
			first = &unitError{unit, err}
		}
	}
	wait := func(unit string, job *manager.Job, err error) {
		if err == nil {
			err = job.Wait(ctx)
		}
		keep(unit, err)
	}
	if op.stop {
		for _, socket := range s.sockets {
			job, err := m.Stop(ctx, socket)
			wait(socket, job, err)
		}
		job, err := m.Stop(ctx, s.unit)
		wait(s.unit, job, err)
	}
	if op.reload {
		keep("daemon-reload", m.Reload(ctx))
	}
	if op.restart {
		s.queued(m.Restart(ctx, s.unit, mode))
	}
	if op.start {
		for _, socket := range s.sockets {
			job, err := m.Start(ctx, socket, mode)
			wait(socket, job, err)
		}
		s.queued(m.Start(ctx, s.unit, mode))
	}
	return first
}

// queued complains of a start that fails in the end. Until then the service
// can be stopped and killed.
func (s *unitDir) queued(job *manager.Job, err error) {
	go func() {
		if err == nil {
			err = job.Wait(context.Background())
		}
		b := s.service.bridge
		b.events <- func() {
			subject := s.name + " start"
			if err != nil {
				b.complain(subject, "unable to start "+s.name, &unitError{s.unit, err})
			} else {
				b.content(subject)
			}
		}
	}()
}

// A unitError says what systemd says of a unit.
type unitError struct {
	unit string
	err  error
}

func (e *unitError) Error() string {
	return e.unit + ": " + e.err.Error() + " (systemctl status " + e.unit + ")"
}

func (e *unitError) Unwrap() error { return e.err }

// changed takes over a state that systemd tells of.
func (s *unitDir) changed(state manager.State) {
	ended := state.Sub == "auto-restart" && s.state.Sub != "auto-restart"
	s.state = state
	s.show()
	switch {
	case !ended || s.busy:
	case s.status.Want == WantOnce, s.exit && s.service.gone:
		s.ask(operation{stop: true})
	case s.status.Want == WantUp && state.Ended.Sub(state.Started) >= upLongEnough:
		s.restart()
	}
	s.maybeExit()
}

// restart has a service that waits for its restart started at once.
func (s *unitDir) restart() {
	b := s.service.bridge
	if s.restarting || b.manager == nil {
		return
	}
	s.restarting = true
	m, mode := b.manager, s.mode()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		// It may run by now, and is not to be disturbed then.
		if sub, err := m.Sub(ctx, s.unit); err == nil && sub == "auto-restart" {
			m.Restart(ctx, s.unit, mode)
		}
		b.events <- func() { s.restarting = false }
	}()
}

// show brings the status in line with what systemd says.
func (s *unitDir) show() {
	if s.held == nil {
		return
	}
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
	if !s.busy && s.pending == (operation{}) {
		s.status.Want = s.want()
	}
	if s.status != old {
		s.announce()
	}
}

// want is what systemd wants of the service. Of once it knows nothing.
func (s *unitDir) want() Want {
	want := s.status.Want
	switch s.state.Active {
	case "active", "activating", "reloading":
		s.downByHand = false
		if want != WantOnce {
			want = WantUp
		}
	case "inactive", "failed":
		if !s.state.Job && (want == WantDown || s.isDead()) {
			want = WantDown
		}
	}
	return want
}

// isDead tells whether the unit is inactive to stay so. On its way to a
// restart it is inactive for a moment, which is over when systemd answers.
func (s *unitDir) isDead() bool {
	b := s.service.bridge
	if b.manager == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	sub, err := b.manager.Sub(ctx, s.unit)
	return err != nil || sub == "dead" || sub == "failed"
}

func (s *unitDir) announce() error {
	if s.held == nil {
		return nil
	}
	err := s.held.WriteStatus(s.status)
	b := s.service.bridge
	if err != nil {
		b.complain(s.name+" status", err.Error(), nil)
	} else {
		b.content(s.name + " status")
	}
	return err
}

// maybeExit lets the supervise directory go where x asked for it and the
// service is down.
func (s *unitDir) maybeExit() {
	if s.held != nil && s.exit && s.status.PID == 0 && !s.busy && s.pending == (operation{}) {
		s.letGo()
	}
}
