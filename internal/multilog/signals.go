package multilog

import (
	"encoding/binary"
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// signals holds the signals that came and are not served yet. They are served
// only where input is read: a pause or a processor is never cut short.
type signals struct {
	term, alarm atomic.Bool
	aged        atomic.Bool // no signal, but served as one: a log became too old
	fd          int         // readable where a signal came since the last clear
}

func catchSignals() (*signals, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	s := &signals{fd: fd}
	s.catch(unix.SIGTERM, &s.term)
	s.catch(unix.SIGALRM, &s.alarm)
	// The pipe that is the input has news (see pipeInput.moreThan).
	s.catch(unix.SIGIO, new(atomic.Bool))
	// Caught, so that a reader of standard error that went away does not end
	// the log; not ignored, since a processor would inherit that.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	return s, nil
}

func (s *signals) catch(sig os.Signal, flag *atomic.Bool) {
	came := make(chan os.Signal, 1)
	signal.Notify(came, sig)
	go func() {
		for range came {
			s.raise(flag)
		}
	}()
}

func (s *signals) raise(flag *atomic.Bool) {
	flag.Store(true)
	unix.Write(s.fd, binary.NativeEndian.AppendUint64(nil, 1))
}

// clear makes fd unreadable again. The flags are to be looked at after it.
func (s *signals) clear() {
	var count [8]byte
	unix.Read(s.fd, count[:])
}
