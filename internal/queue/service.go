package queue

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConnections is how many connections the service serves at a time;
	// others wait.
	maxConnections = 1000

	// shares is by what the connections are divided for the share that one
	// user may have.
	shares = 4

	// descriptors is how many a connection takes: itself, the message, the
	// envelope, a directory.
	descriptors = 4

	// otherDescriptors is how many the process needs beside: for itself, the
	// segments of the journal, and what its mover has open.
	otherDescriptors = 16 + maxSegments + 2*fewFiles + 8

	// idleTime is how long a connection may stay without a submission.
	idleTime = 5 * time.Minute

	// restTime is how long a connection may stay so although others wait.
	restTime = time.Second

	// stallTime is how long a submission may bring nothing new although
	// others wait. It exceeds what an SMTP server waits for its client.
	stallTime = 20 * time.Minute

	// refusalTime is the time between two lines about refused connections.
	refusalTime = time.Minute

	// drainTime is how long a stopping service waits for what is coming in.
	drainTime = 10 * time.Second
)

// A service serves the stream protocol on its listeners.
type service struct {
	disk    *Disk
	journal *journal
	warn    func(what string, err error)
	slots   chan struct{}
	serving sync.WaitGroup
	cleared atomic.Int64 // Unix time of the last search for leftovers
	refused atomic.Int64 // Unix time of the last line about a refusal

	mu       sync.Mutex
	stopping bool
	conns    map[net.Conn]state
	held     map[uint32]int // connections by user
}

// A state is what a connection is about.
type state struct {
	busy   bool      // a submission is coming in
	spared time.Time // until then it is not closed for the sake of others
}

func newService(disk *Disk, warn func(what string, err error)) *service {
	connections := maxConnections
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < descriptors*maxConnections {
		connections = max(1, (int(limit.Cur)-otherDescriptors)/descriptors)
	}
	s := &service{disk: disk, journal: newJournal(disk, warn), warn: warn, slots: make(chan struct{}, connections), conns: make(map[net.Conn]state), held: make(map[uint32]int)}
	s.journal.start()
	s.clearSometimes(time.Now())
	return s
}

// clearSometimes searches for leftovers, once in a lifetime of submissions.
func (s *service) clearSometimes(now time.Time) {
	last := s.cleared.Load()
	if now.Sub(time.Unix(last, 0)) >= lifetime && s.cleared.CompareAndSwap(last, now.Unix()) {
		go func() {
			s.journal.awaitRecovery()
			s.disk.clear(now)
		}()
	}
}

// accept serves the connections to listener until that is closed.
func (s *service) accept(listener net.Listener) {
	var pause time.Duration
	for {
		conn, err := listener.Accept()
		if err == nil {
			pause = 0
			s.take(conn)
			continue
		}
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

// take serves conn as soon as there is a slot for it. It refuses what goes
// beyond a user's share at once, so that the submitter need not wait.
func (s *service) take(conn net.Conn) {
	uid, err := peer(conn)
	if err != nil {
		conn.Close()
		s.warn("unable to learn who submits", err)
		return
	}
	if !s.admit(uid) {
		conn.Close()
		s.tellRefusal(uid)
		return
	}
	s.reserve()
	go s.serve(conn, uid)
}

// admit counts a connection of the user uid; leave ends it. It returns false
// where the user has all that are due to one.
func (s *service) admit(uid uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[uid] >= s.share() && !s.trusted(uid) {
		return false
	}
	s.held[uid]++
	return true
}

func (s *service) leave(uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[uid]--; s.held[uid] == 0 {
		delete(s.held, uid)
	}
}

// share is how many connections a user may have who is not trusted.
func (s *service) share() int { return max(1, cap(s.slots)/shares) }

// trusted tells whether the user uid may have all connections: root and the
// queue's owner, whom nothing here could hinder, and the user of the SMTP
// servers, who has as many as their limits allow.
func (s *service) trusted(uid uint32) bool {
	return uid == 0 || uid == uint32(os.Getuid()) || s.disk.invokers.who(uid) == roles["qmaild"]
}

// tellRefusal logs that a connection of the user uid was refused, unless it
// logged one a moment ago.
func (s *service) tellRefusal(uid uint32) {
	last, now := s.refused.Load(), time.Now().Unix()
	if now-last >= int64(refusalTime.Seconds()) && s.refused.CompareAndSwap(last, now) {
		s.warn(fmt.Sprintf("uid %d has %d connections, no more are taken", uid, s.share()), nil)
	}
}

// reserve takes a slot. Where none is free it closes, one after the other,
// connections that bring nothing.
func (s *service) reserve() {
	for {
		select {
		case s.slots <- struct{}{}:
			return
		default:
		}
		s.closeLaziest(time.Now())
		select {
		case s.slots <- struct{}{}:
			return
		case <-time.After(restTime):
		}
	}
}

// closeLaziest closes the connection that has not been spared for the longest
// time, if there is one.
func (s *service) closeLaziest(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var laziest net.Conn
	first := now
	for conn, state := range s.conns {
		if state.spared.Before(first) {
			laziest, first = conn, state.spared
		}
	}
	if laziest != nil {
		laziest.SetReadDeadline(now)
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
	for conn, state := range s.conns {
		if !state.busy {
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
	now := time.Now()
	s.conns[conn] = state{spared: now.Add(restTime)}
	conn.SetReadDeadline(now.Add(idleTime))
	return true
}

// busy notes that a submission is coming in on conn.
func (s *service) busy(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.conns[conn] = state{busy: true, spared: now.Add(stallTime)}
	conn.SetReadDeadline(now.Add(lifetime))
}

// progress notes that the submission on conn goes on.
func (s *service) progress(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = state{busy: true, spared: time.Now().Add(stallTime)}
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

// serve serves one connection, of the user uid, and closes it.
func (s *service) serve(conn net.Conn, uid uint32) {
	defer func() {
		conn.Close()
		s.forget(conn)
		s.leave(uid)
		<-s.slots
	}()
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
