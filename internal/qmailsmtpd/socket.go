package qmailsmtpd

import (
	"net"
	"sync"
	"time"

	"qmail-smtpd/internal/smtp"
)

// A socket is a client on a connection of this process.
type socket struct {
	conn    net.Conn
	timeout time.Duration

	mu       sync.Mutex
	idle     bool // in ReadIdle
	stopping bool
}

func (s *socket) setTimeout(d time.Duration) {
	s.timeout = d
}

// stop ends the ReadIdle that goes on, and all those that come.
func (s *socket) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	if s.idle {
		s.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// ReadIdle implements smtp.Conn.
func (s *socket) ReadIdle(p []byte) (int, error) {
	if !s.beginIdle() {
		return 0, smtp.ErrStopping
	}
	n, err := s.conn.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = false
	if s.stopping && n == 0 {
		return 0, smtp.ErrStopping
	}
	return n, err
}

// beginIdle prepares a read that stop ends. It returns false when the server
// is stopping already.
func (s *socket) beginIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = !s.stopping
	if s.idle {
		s.conn.SetReadDeadline(time.Now().Add(s.timeout))
	}
	return s.idle
}

// Read implements smtp.Conn.
func (s *socket) Read(p []byte) (int, error) {
	s.conn.SetReadDeadline(time.Now().Add(s.timeout))
	return s.conn.Read(p)
}

func (s *socket) Write(p []byte) (int, error) {
	s.conn.SetWriteDeadline(time.Now().Add(s.timeout))
	return s.conn.Write(p)
}
