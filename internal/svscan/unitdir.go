package svscan

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/svcompat"
	"qmail-smtpd/internal/systemd/manager"
	"qmail-smtpd/units"
)

// A unitDir is a service directory, or the log of one, whose process
// systemd keeps: a supervise directory whose letters become operations on
// units, and whose status tells what systemd says.
type unitDir struct {
	service    *bridged
	dir        string // absolute
	name       string // in messages
	unit       string // its service unit
	sockets    []string
	oldSockets []string // that it had before, and are not stopped yet

	held    *svcompat.SuperviseDir // nil: another process holds it, or it was let go
	control *os.File
	fresh   bool // to be started, as directories are that were not held before
	left    bool // let go because x asked for it
	exit    bool // asked for by x

	state        manager.State
	socketStates map[string]manager.State
	status       svcompat.Status
	shown        svcompat.Status // what supervise/status says
	live         bool            // systemd had it up, or on its way there, when it last told
	over         time.Time       // the start of the run that it was seen down after, by our doing
	stopping     bool            // its process was seen while somebody stopped it
	waiting      bool            // it was waiting to be started again when it was live last
	resting      bool            // it was seen down, and not waiting since
	flagged      bool            // it runs once, and systemd knows

	putDown  bool // somebody has put it down, or there is a file down
	keptDown bool // it is a log that systemd is not to start
	woken    bool // it is a log that a socket unit of somebody else starts with the next line

	busy     bool      // an operation is being done
	pending  operation // to be done after it
	starting int       // starts that are not finished
	tried    time.Time // the last start
	hurrying bool      // a restart is being brought forward
	rushing  bool      // it has not been asked for yet: what is asked for now comes after it
}

// An operation is what units have to go through, in the order of the fields.
type operation struct {
	stop    bool // sockets that listen, and service
	endOnce bool // it is no more to run only once
	start   bool // sockets and service
}

// hold takes the supervise directory where that has not happened, and tells
// whether it has now. Its state is to be shown next.
func (s *unitDir) hold() bool {
	if s.held != nil || s.left && s.service.gone || s.service.deleted {
		return false
	}
	b := s.service.bridge
	held, err := svcompat.OpenSuperviseDir(s.dir, s.name)
	if err == nil {
		if err = held.CheckFIFOs(); err != nil {
			held.Close()
		}
	}
	if err != nil {
		b.complain(s.name+" held", err.Error(), nil)
		b.readOnly = b.readOnly || errors.Is(err, unix.EROFS)
		return false
	}
	b.content(s.name + " held")
	s.held, s.exit = held, false
	s.service.claimed = true
	if s == s.service.log {
		s.service.holdPipe()
	}
	return true
}

// adopt begins to show the state of the unit, and to take letters.
func (s *unitDir) adopt(state manager.State) {
	s.state, s.live = state, isLive(&state)
	s.keptDown = s == s.service.log && exists(s.downFlag())
	s.putDown = s.keptDown
	switch asked := exists(s.exitFlag()); {
	case asked && !s.left && (s.live || s.service.gone):
		s.exit = true
	case asked, s.left:
		s.left, s.fresh = false, true
		os.Remove(s.exitFlag())
	}
	if s.status = oldStatus(s.dir); s.fresh {
		s.status = svcompat.Status{Since: time.Now(), Want: svcompat.WantDown}
		s.putDown = exists(s.dir + "/down")
		if s.isDue() {
			s.status.Want = svcompat.WantUp
		}
	}
	if state.MainPID != 0 && state.MainPID != s.status.PID {
		svcompat.RecordStart(s.dir, state.Started)
	}
	s.status.Paused = s.status.Paused && s.status.PID == state.MainPID
	switch {
	case s.live && s.status.Want == svcompat.WantDown:
		s.status.Want = svcompat.WantUp
	case !s.live && s.status.Want == svcompat.WantUp && !s.fresh && state.Active != "failed":
		s.status.Want = svcompat.WantDown
	}
	s.takeOnce()
	s.show()
	err := s.announce()
	if err == nil {
		err = s.held.SetRunning()
	}
	var fd int
	if err == nil {
		fd, err = unix.FcntlInt(uintptr(s.held.Control()), unix.F_DUPFD_CLOEXEC, 0)
	}
	if err != nil {
		s.service.bridge.complain(s.name+" held", err.Error(), nil)
		s.letGo()
		return
	}
	s.control = os.NewFile(uintptr(fd), "control")
	go s.readLetters(s.control)
	s.maybeExit()
}

// checkFIFOs complains of files that letters cannot come by.
func (s *unitDir) checkFIFOs() {
	b := s.service.bridge
	if err := s.held.CheckFIFOs(); err != nil {
		b.complain(s.name+" held", err.Error(), nil)
	} else {
		b.content(s.name + " held")
	}
}

// isDue tells whether svscan is to start it now.
func (s *unitDir) isDue() bool {
	if !s.fresh || s.service.gone || !s.service.made[s.unit] || s.state.Load == "masked" {
		return false
	}
	normallyUp, err := svcompat.IsNormallyUp(s.dir)
	return err == nil && normallyUp
}

// oldStatus returns the status that an earlier svscan, or supervise, left.
func oldStatus(dir string) svcompat.Status {
	content, err := os.ReadFile(dir + "/supervise/status")
	if err != nil {
		return svcompat.Status{Want: svcompat.WantDown}
	}
	status, err := svcompat.ParseStatus(content)
	if err != nil {
		return svcompat.Status{Want: svcompat.WantDown}
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
					s.letter(letter)
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

// letter obeys a control letter.
func (s *unitDir) letter(letter byte) {
	switch letter {
	case 'u':
		s.clearOnce()
		s.status.Want = svcompat.WantUp
		s.announce()
		s.ask(operation{start: true})
	case 'o':
		s.status.Want = svcompat.WantOnce
		s.announce()
		if s.status.PID != 0 {
			s.setOnce()
		} else {
			s.clearOnce()
			s.ask(operation{start: true})
		}
	case 'd':
		s.clearOnce()
		s.status.Want, s.putDown = svcompat.WantDown, true
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
		os.WriteFile(s.exitFlag(), nil, 0o644)
		s.announce()
		s.maybeExit()
	default:
		if letter == 't' && s == s.service.main && s.service.hasEdits() {
			return // the edits restart it
		}
		if signal, ok := svcompat.LetterSignal(letter); ok {
			s.signal(signal)
		}
	}
}

// signal signals the process; where systemd cannot be asked, by its pid.
func (s *unitDir) signal(signal unix.Signal) {
	pid := int(s.status.PID)
	kill := func() {
		if pid != 0 {
			unix.Kill(pid, signal)
		}
	}
	switch m := s.service.bridge.manager; {
	case m == nil:
		kill()
	case pid != 0, isLive(&s.state): // its new pid may be about to come
		m.Kill(s.unit, signal, func(err error) {
			if manager.IsGone(err) {
				kill()
			}
		})
	}
}

// ask has an operation done after those that were asked for before. What is
// left of an operation that has not begun is what comes out in the end.
func (s *unitDir) ask(op operation) {
	s.pending = s.pending.then(op)
	s.next()
}

func (p operation) then(op operation) operation {
	return operation{
		stop:    p.stop || op.stop,
		endOnce: p.endOnce || op.endOnce,
		start:   p.start && !op.stop || op.start,
	}
}

// isStarting tells whether a start of ours is yet to be finished.
func (s *unitDir) isStarting() bool {
	return s.starting > 0 || s.hurrying || s.pending.start
}

func (s *unitDir) isIdle() bool {
	return !s.busy && s.starting == 0 && s.pending == (operation{})
}

// next begins the operation that is pending.
func (s *unitDir) next() {
	b := s.service.bridge
	if s.busy || s.rushing || s.pending == (operation{}) || b.manager == nil {
		return
	}
	op := s.pending
	s.pending, s.busy = operation{}, true
	if op.start {
		s.starting++
		s.tried = time.Now()
	}
	work := work{m: b.manager, op: op, mode: s.mode(), unit: s.unit, sockets: s.sockets}
	switch log := s.service.log; {
	case s != log:
		work.closing, s.oldSockets = append(s.oldSockets, s.sockets...), nil
		if log != nil && log.held != nil && work.mode == manager.Alone {
			work.pipes = log.sockets
		}
	case s.woken:
		work.closing = s.sockets
	}
	if op.start {
		s.over = time.Time{}
	}
	go func() {
		started, err := work.perform()
		b.events <- func() { s.performed(op, err) }
		if op.start {
			err = work.wait(s.unit, started)
			b.events <- func() { s.started(op, err) }
		}
	}()
}

// performed goes on after an operation, but for the start of the service.
func (s *unitDir) performed(op operation, err error) {
	b := s.service.bridge
	s.busy = false
	subject := s.name + " operation"
	switch {
	case err == nil:
		b.content(subject)
	case manager.IsGone(err):
		op.start = false // that is tried again anyway
		s.pending = op.then(s.pending)
	default:
		b.complain(subject, "unable to control "+s.name, err)
	}
	if op.endOnce {
		s.clearOnce()
	}
	s.settle()
	s.next()
	s.maybeExit()
}

// started goes on after the start of the service. It can be stopped and
// killed before.
func (s *unitDir) started(op operation, err error) {
	b := s.service.bridge
	s.starting--
	subject := s.name + " start"
	switch {
	case err == nil:
		b.content(subject)
	case manager.IsGone(err):
		s.pending = operation{start: true}.then(s.pending)
	default:
		b.complain(subject, "unable to start "+s.name, err)
		if !isLive(&s.state) {
			s.live = false // it is still wanted
		}
	}
	s.settle()
	s.next()
	s.maybeExit()
}

// mode is how the service is to be started: alone where what its unit wants,
// its log, is down because it is to be.
func (s *unitDir) mode() manager.Mode {
	log := s.service.log
	if s != s.service.main || log == nil {
		return manager.WithDependencies
	}
	if log.held == nil || log.status.PID == 0 && (log.putDown || log.status.Want == svcompat.WantOnce) {
		return manager.Alone
	}
	return manager.WithDependencies
}

// retry tries again what is wanted and did not start, at a look.
func (s *unitDir) retry() {
	if s.held == nil || !s.isIdle() || s.status.Want != svcompat.WantUp || s.fresh || time.Since(s.tried) < lookEvery-time.Second {
		return
	}
	failed := !isLive(&s.state) && !s.state.Job
	if s.state.MainPID == 0 {
		for _, socket := range s.sockets {
			failed = failed || s.socketStates[socket].Active != "active"
		}
	}
	if failed {
		s.ask(operation{start: true})
	}
}

// maybeExit lets the supervise directory go where x asked for it and the
// service is down.
func (s *unitDir) maybeExit() {
	if s.held != nil && s.exit && s.status.PID == 0 && s.isIdle() {
		s.letGo()
		s.left = true
	}
}

// exitFlag is a file that tells an svscan that comes later that x asked for
// the directory to be let go: who holds it after that starts it like a new one.
func (s *unitDir) exitFlag() string { return s.flag(".exit") }

// flag is the path of a file about the unit.
func (s *unitDir) flag(suffix string) string {
	return units.RuntimeDir + "/" + strings.TrimSuffix(s.unit, ".service") + suffix
}

func exists(path string) bool {
	var info unix.Stat_t
	return unix.Lstat(path, &info) == nil
}

// A work is what is to be done beside the goroutine of the bridge.
type work struct {
	m       *manager.Manager
	op      operation
	mode    manager.Mode
	unit    string
	sockets []string
	closing []string // sockets that are not to listen while it is down: the pipe of a log keeps its lines
	pipes   []string // sockets of the log that are to be there, though it is started alone
}

// perform does the operation. It does not wait until the service has started,
// but returns the job of that.
func (w *work) perform() (started *manager.Job, first error) {
	keep := func(unit string, job *manager.Job) {
		if err := w.wait(unit, job); err != nil && first == nil {
			first = err
		}
	}
	if w.op.stop {
		for _, socket := range w.closing {
			keep(socket, w.m.Stop(socket))
		}
		keep(w.unit, w.m.Stop(w.unit))
	}
	if w.op.start {
		for _, socket := range w.pipes {
			keep(socket, w.m.Start(socket, manager.WithDependencies))
		}
		for _, socket := range w.sockets {
			keep(socket, w.m.Start(socket, w.mode))
		}
		started = w.m.Start(w.unit, w.mode)
	}
	return started, first
}

func (w *work) wait(unit string, job *manager.Job) error {
	if err := job.Wait(context.Background()); err != nil {
		return &unitError{unit, err}
	}
	return nil
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
