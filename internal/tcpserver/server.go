package tcpserver

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/ucspi"
)

// A server accepts connections on its listeners, at most limit at a time,
// and serves each as options and rules say.
type server struct {
	*options
	log       *logger
	listeners []*listener
	environ   []string // what each connection's environment begins as
	names     *names
	rulesFile *rules.File // nil: everybody is allowed

	handler  ucspi.Handler   // nil: programs are run
	refuser  ucspi.Refuser   // nil: those over a limit are told nothing
	sessions context.Context // done when sessions are to end
	children *children
	clients  *clients

	acceptors sync.WaitGroup
	serving   sync.WaitGroup // goroutines that serve a connection

	mu     sync.Mutex
	room   *sync.Cond // signalled when active falls and when stopping is closed
	active uint64
	lastID int

	stopping chan struct{} // closed when nothing is to be accepted any more
	changed  chan struct{} // has an element when active changed; nil: nobody asks
}

// loadRules reads the rules anew, whether they seem to have changed or not.
// Whether they can be read matters only to clients.
func (s *server) loadRules() {
	if s.rulesFile != nil {
		s.rulesFile.Forget()
		s.rulesFile.Lookup(rules.Peer{}, nil)
	}
}

// start begins accepting. It does not wait for the log: s.mu, without which
// no connection is accepted, is held until the first line is written.
func (s *server) start() {
	if s.handler == nil {
		go s.children.reap()
	}
	s.mu.Lock()
	go func() {
		defer s.mu.Unlock()
		s.logStatus(nil)
	}()
	for _, l := range s.listeners {
		s.acceptors.Add(1)
		go s.accept(l)
	}
}

// stop ends accepting. When it returns no connection is accepted any more,
// and those that were are counted in serving.
func (s *server) stop() {
	s.mu.Lock()
	close(s.stopping)
	s.room.Broadcast()
	s.mu.Unlock()
	for _, l := range s.listeners {
		l.close()
	}
	s.acceptors.Wait()
}

// logStatus logs the number of connections after the lines that before
// appends, if it is not nil. s.mu is held, so that the numbers are in order.
func (s *server) logStatus(before func(b []byte) []byte) {
	s.log.print(func(b []byte) []byte {
		if before != nil {
			b = before(b)
		}
		return appendStatus(b, s.active, s.limit)
	})
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// accept takes connections from l until the server stops.
func (s *server) accept(l *listener) {
	defer s.acceptors.Done()
	var trouble backoff
	for s.waitForRoom() {
		c, err := s.take(l, &trouble)
		switch {
		case err == nil && c == nil: // no room after all
		case err == nil:
			trouble.delay = 0
			go s.serve(c)
		case passing(err):
		default:
			if s.isStopping() {
				return
			}
			if !trouble.told {
				trouble.told = true
				s.log.warn("unable to accept, will try again: " + command.ErrText(err))
			}
			trouble.wait(s.stopping)
		}
	}
}

// waitForRoom waits until another connection may be served, and tells
// whether one is to be.
func (s *server) waitForRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active >= s.limit && !s.isStopping() {
		s.room.Wait()
	}
	return !s.isStopping()
}

func (s *server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// take waits for a connection on l, and counts it. It returns nil where there
// came one but no room for it. Trouble is over when no client waits.
func (s *server) take(l *listener, trouble *backoff) (c *connection, err error) {
	flags := unix.SOCK_CLOEXEC
	if s.handler != nil {
		flags |= unix.SOCK_NONBLOCK
	}
	waitErr := l.raw.Read(func(socket uintptr) (done bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active >= s.limit {
			return true
		}
		var fd int
		var peer unix.Sockaddr
		fd, peer, err = unix.Accept4(int(socket), flags)
		if err == unix.EAGAIN {
			err = nil
			if trouble.told {
				trouble.told = false
				s.log.warn("accepting again")
			}
			return false
		}
		if err != nil {
			return true
		}
		s.serving.Add(1)
		s.active++
		s.lastID++
		c = newConnection(fd, s.lastID, inet.AddrPort(peer))
		c.number = s.clients.enter(c.remote.Addr())
		s.logStatus(nil)
		return true
	})
	return c, errors.Join(err, waitErr)
}

// passing tells whether an error of accept concerns one connection alone.
func passing(err error) bool {
	for _, passing := range []error{
		unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.EPERM, unix.ENOPROTOOPT, unix.EOPNOTSUPP,
		unix.ENETDOWN, unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH, unix.ENETUNREACH,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// A backoff is the state of a row of failures.
type backoff struct {
	told  bool // whether the log has it
	delay time.Duration
}

// wait waits longer each time, up to a second, or until stop is closed.
func (b *backoff) wait(stop <-chan struct{}) {
	b.delay = min(max(2*b.delay, 5*time.Millisecond), time.Second)
	select {
	case <-time.After(b.delay):
	case <-stop:
	}
}

// serve serves a connection, in this process to its end, otherwise until its
// program runs.
func (s *server) serve(c *connection) {
	defer s.serving.Done()
	if s.handler != nil {
		s.log.print(func(b []byte) []byte { return appendStart(b, c.id, c) })
	}
	env, err := s.admit(c)
	switch {
	case err != nil:
		s.refuse(c, err)
	case s.handler != nil:
		s.log.print(func(b []byte) []byte { return appendVerdict(b, "ok", c.id, c, "") })
		s.finish(c, c.id, s.session(c, env))
	default:
		s.launch(c, env)
	}
}

// refuse closes a connection that is denied or cannot be served.
func (s *server) refuse(c *connection, err error) {
	code := 111
	denied, isDenied := err.(*denial)
	if isDenied {
		code = 100
	}
	s.log.print(func(b []byte) []byte {
		if s.handler == nil {
			b = appendStart(b, c.id, c)
		}
		if isDenied {
			b = appendVerdict(b, "deny", c.id, c, denied.passed)
		}
		return b
	})
	if !isDenied {
		s.drop(err)
	} else if denied.message != "" {
		writeAll(c.fd, []byte(denied.message+"\r\n"))
	}
	unix.Close(c.fd)
	s.finish(c, c.id, exited(code))
}

func (s *server) drop(err error) {
	s.log.warn("dropping connection, " + err.Error())
}

// launch starts the program for a connection. Without a process, the lines
// of the log bear the connection's number.
func (s *server) launch(c *connection, env *ucspi.Env) {
	logStart := func(id int) {
		s.log.print(func(b []byte) []byte { return appendVerdict(appendStart(b, id, c), "ok", id, c, "") })
	}
	ended := func(pid int, status waitStatus) { s.finish(c, pid, status) }
	if err := s.children.run(c.fd, env, logStart, ended); err != nil {
		logStart(c.id)
		s.drop(err)
		s.finish(c, c.id, exited(111))
	}
}

// finish counts the end of a connection, which the log knows by id.
func (s *server) finish(c *connection, id int, status waitStatus) {
	s.clients.leave(c.remote.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.logStatus(func(b []byte) []byte { return appendEnd(b, id, status) })
	s.room.Broadcast()
}
