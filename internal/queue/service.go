package queue

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConnections is how many connections the service serves at a time;
	// others wait to be accepted.
	maxConnections = 1000

	// descriptors is how many a connection takes: itself, the message, the
	// envelope or a directory.
	descriptors = 3

	// idleTime is how long a connection may stay without a submission.
	idleTime = 5 * time.Minute

	// drainTime is how long a stopping service waits for what is coming in.
	drainTime = 10 * time.Second
)

// A service serves the stream protocol on its listeners.
type service struct {
	disk    *Disk
	warn    func(what string, err error)
	slots   chan struct{}
	serving sync.WaitGroup
	cleared atomic.Int64 // Unix time of the last search for leftovers

	mu       sync.Mutex
	stopping bool
	conns    map[net.Conn]bool // whether a submission is coming in
}

func newService(disk *Disk, warn func(what string, err error)) *service {
	connections := maxConnections
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < descriptors*maxConnections {
		connections = max(1, (int(limit.Cur)-16)/descriptors)
	}
	s := &service{disk: disk, warn: warn, slots: make(chan struct{}, connections), conns: make(map[net.Conn]bool)}
	s.clearSometimes(time.Now())
	return s
}

// clearSometimes searches for leftovers, once in a lifetime of submissions.
func (s *service) clearSometimes(now time.Time) {
	last := s.cleared.Load()
	if now.Sub(time.Unix(last, 0)) >= lifetime && s.cleared.CompareAndSwap(last, now.Unix()) {
		go s.disk.clear(now)
	}
}

// accept serves the connections to listener until that is closed.
func (s *service) accept(listener net.Listener) {
	var pause time.Duration
	for {
		s.slots <- struct{}{}
		conn, err := listener.Accept()
		if err == nil {
			pause = 0
			go s.serve(conn)
			continue
		}
		<-s.slots
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, unix.ECONNABORTED):
			continue
		case pause == 0:
			s.warn("unable to accept connections, trying again", err)
			pause = 10 * time.Millisecond
		default:
			pause = min(2*pause, time.Second)
		}
		time.Sleep(pause)
	}
}

// stop makes the service accept no more, and waits for the submissions that
// are coming in.
func (s *service) stop(listeners []net.Listener) {
	for _, listener := range listeners {
		listener.Close()
	}
	s.mu.Lock()
	s.stopping = true
	for conn, busy := range s.conns {
		if !busy {
			conn.SetReadDeadline(time.Now())
		}
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(drainTime):
	}
	s.mu.Lock()
	for conn := range s.conns {
		conn.SetReadDeadline(time.Now())
	}
	s.mu.Unlock()
	select {
	case <-done:
	case <-time.After(drainTime / 2):
	}
}

// idle notes that conn waits for a submission. It returns false where the
// service is stopping.
func (s *service) idle(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	if _, known := s.conns[conn]; !known {
		s.serving.Add(1)
	}
	s.conns[conn] = false
	conn.SetReadDeadline(time.Now().Add(idleTime))
	return true
}

// busy notes that a submission is coming in on conn.
func (s *service) busy(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = true
	conn.SetReadDeadline(time.Now().Add(lifetime))
}

// forget notes that conn is at its end.
func (s *service) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.conns[conn]; known {
		s.serving.Done()
	}
	delete(s.conns, conn)
}

// serve serves one connection and closes it.
func (s *service) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		s.forget(conn)
		<-s.slots
	}()
	uid, err := peer(conn)
	if err != nil {
		s.warn("unable to learn who submits", err)
		return
	}
	c := &connection{
		service:  s,
		conn:     conn,
		uid:      uid,
		chunk:    chunk{stream: bufio.NewReader(conn)},
		envelope: bufio.NewReaderSize(nil, 2*maxAddress),
	}
	if !s.idle(conn) || !c.greeted() {
		return
	}
	for s.idle(conn) && c.submission() {
	}
}
