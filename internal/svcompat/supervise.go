package svcompat

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Supervise starts ./run in a service directory and keeps it running.
func Supervise(args []string) int {
	const name = "supervise"
	if len(args) != 2 {
		return command.Usage(name, "supervise dir")
	}
	dir := args[1]
	if err := unix.Chdir(dir); err != nil {
		return command.Fatal(name, "unable to chdir to "+dir, err)
	}
	normallyUp, err := IsNormallyUp(".")
	if err != nil {
		return command.Fatal(name, "unable to stat "+dir+"/down", err)
	}
	held, err := OpenSuperviseDir(".", dir)
	if err != nil {
		return command.Fatal(name, err.Error(), nil)
	}
	s := &supervisor{dir: held, name: dir, pidfd: -1, env: os.Environ()}
	s.status.Want = WantDown
	if normallyUp {
		s.status.Want = WantUp
	}
	s.setPID(0)
	if err := held.SetRunning(); err != nil {
		return command.Fatal(name, err.Error(), nil)
	}
	if normallyUp {
		s.start()
	}
	s.run()
	return 0
}

// IsNormallyUp tells whether the service directory dir has no file down. The
// error, an errno, says why that cannot be seen.
func IsNormallyUp(dir string) (bool, error) {
	var info unix.Stat_t
	switch err := unix.Stat(dir+"/down", &info); err {
	case nil:
		return false, nil
	case unix.ENOENT:
		return true, nil
	default:
		return false, err
	}
}

// A supervisor is the state of a running supervise.
type supervisor struct {
	dir    *SuperviseDir
	name   string // of the service directory in messages
	status Status
	pidfd  int  // of the process, -1 where there is none
	exit   bool // asked for by x
	failed bool // the last start failed: as if the process had ended at once
	env    []string
}

// run looks after the service until x was asked for and the service is down.
// Each turn sees an end of the process first, and then one control letter.
func (s *supervisor) run() {
	for !s.exit || s.status.PID != 0 {
		s.await()
		s.reap()
		if s.exit && s.status.PID == 0 {
			return
		}
		if letter, ok := s.dir.ReadControl(); ok {
			s.do(letter)
		}
	}
}

// await sleeps until the process ends or a letter comes.
func (s *supervisor) await() {
	timeout := -1
	if s.failed {
		timeout = 0
	} else if s.status.PID != 0 && s.pidfd < 0 {
		timeout = 1000
	}
	unix.Poll([]unix.PollFd{
		{Fd: int32(s.dir.Control()), Events: unix.POLLIN},
		{Fd: int32(s.pidfd), Events: unix.POLLIN},
	}, timeout)
}

func (s *supervisor) reap() {
	ended := s.failed
	s.failed = false
	for {
		pid, ok := Reap()
		if !ok {
			break
		}
		if uint32(pid) == s.status.PID {
			ended = true
			unix.Close(s.pidfd)
			s.pidfd = -1
			s.setPID(0)
		}
	}
	if ended && !s.exit && s.status.Want == WantUp {
		s.start()
	}
}

// start starts ./run. Nothing else happens within the second that follows, so
// that a run that ends at once is started once a second.
func (s *supervisor) start() {
	s.status.Paused = false
	pid, pidfd, err := StartProcess("./run", []string{"./run"}, s.env, "", 0, 1)
	switch {
	case err == nil:
		s.pidfd = pidfd
		s.setPID(pid)
		RecordStart(".", s.status.Since)
	case IsForkFailure(err):
		command.Warning("supervise", "unable to fork for "+s.name+", sleeping 60 seconds", err)
		s.failed = true
		time.Sleep(59 * time.Second)
	default:
		command.Fatal("supervise", "unable to start "+s.name+"/run", err)
		s.failed = true
	}
	time.Sleep(time.Second)
}

func (s *supervisor) setPID(pid int) {
	s.status.PID = uint32(pid)
	s.status.Since = time.Now()
	s.announce()
}

func (s *supervisor) announce() {
	if err := s.dir.WriteStatus(s.status); err != nil {
		command.Warning("supervise", err.Error(), nil)
	}
}

// do obeys a control letter; it ignores those that it does not know.
func (s *supervisor) do(letter byte) {
	switch letter {
	case 'u':
		s.setWant(WantUp)
	case 'o':
		s.setWant(WantOnce)
	case 'd':
		s.signal(unix.SIGTERM)
		s.signal(unix.SIGCONT)
		s.status.Paused = s.status.Paused && s.status.PID == 0
		s.setWant(WantDown)
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
	default:
		if signal, ok := LetterSignal(letter); ok {
			s.signal(signal)
		}
	}
}

// LetterSignal returns the signal that a control letter stands for, where it
// stands for no more than that.
func LetterSignal(letter byte) (signal unix.Signal, ok bool) {
	switch letter {
	case 'h':
		return unix.SIGHUP, true
	case 'a':
		return unix.SIGALRM, true
	case 'i':
		return unix.SIGINT, true
	case 't':
		return unix.SIGTERM, true
	case 'k':
		return unix.SIGKILL, true
	}
	return 0, false
}

func (s *supervisor) setWant(want Want) {
	s.status.Want = want
	s.announce()
	if want != WantDown && s.status.PID == 0 {
		s.start()
	}
}

// signal signals the process, which cannot be another one by now: it has not
// been collected yet.
func (s *supervisor) signal(signal unix.Signal) {
	if s.status.PID != 0 {
		unix.Kill(int(s.status.PID), signal)
	}
}
