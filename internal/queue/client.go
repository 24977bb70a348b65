package queue

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long a submitter waits for the queue service at one
	// step: as long as an SMTP server waits for its client by default.
	patience = 20 * time.Minute

	// maxTries is how many connections are tried for one message.
	maxTries = 3

	// maxIdle is how many idle connections a Client keeps.
	maxIdle = 8

	// maxChunk is how much of a message is sent at a time. A message that is
	// smaller can be sent again on another connection.
	maxChunk = 64 << 10
)

// A Client submits messages to the queue service over its socket. It keeps a
// few connections open for the next messages. It is safe for concurrent use.
//
// A message that may have been queued is never sent twice: where the answer
// is lost the submission fails with code 74, and where the service cannot be
// reached with code 56.
type Client struct {
	path string

	mu   sync.Mutex
	idle []*os.File
}

// NewClient returns a Client of the queue service at HOME/qmail-queue.socket.
// It connects when the first message is submitted.
func NewClient(home string) *Client {
	return &Client{path: home + "/" + socketName}
}

// present tells whether there is a socket, be it served or not.
func (c *Client) present() bool {
	var stat unix.Stat_t
	return unix.Stat(c.path, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// Begin opens a submission; it never fails. The submission's Number is 0: the
// service gives the number at the end, in the Result.
func (c *Client) Begin() (Submission, error) {
	return c.begin(), nil
}

func (c *Client) begin() *clientSubmission {
	return &clientSubmission{client: c}
}

// takeIdle returns an idle connection that the service has not closed, or nil.
func (c *Client) takeIdle() *os.File {
	for {
		c.mu.Lock()
		if len(c.idle) == 0 {
			c.mu.Unlock()
			return nil
		}
		conn := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		c.mu.Unlock()
		if quiet(conn) {
			return conn
		}
		conn.Close()
	}
}

// quiet tells whether conn is open and nothing has come in on it.
func quiet(conn *os.File) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Control(func(fd uintptr) {
		_, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err == nil && errors.Is(peeked, unix.EAGAIN)
}

func (c *Client) putIdle(conn *os.File) {
	c.mu.Lock()
	keep := len(c.idle) < maxIdle
	if keep {
		c.idle = append(c.idle, conn)
	}
	c.mu.Unlock()
	if !keep {
		conn.Close()
	}
}

// Close closes the idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, conn := range idle {
		conn.Close()
	}
}

// A buffer begins with room for the version and the header of the chunk that
// it holds, and has some for an envelope behind it.
const (
	bufferHead = 1 + headerSize
	bufferCap  = bufferHead + maxChunk + 4096
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, bufferHead, bufferCap)
	return &b
}}

type clientSubmission struct {
	client *Client
	buffer *[]byte  // what is to be sent next; nil: nothing was written
	conn   *os.File // nil: nothing was sent
	old    bool     // conn has carried other submissions before
	begun  bool     // conn has taken a part that is not in buffer any more
	tries  int      // connections that were used for this submission
	code   int      // why the submission has failed already, or 0
}

func (s *clientSubmission) Number() int { return 0 }

func (s *clientSubmission) Write(p []byte) (int, error) {
	written := len(p)
	s.acquire()
	for len(p) > 0 && s.code == 0 {
		b := *s.buffer
		n := min(len(p), bufferHead+maxChunk-len(b))
		*s.buffer = append(b, p[:n]...)
		p = p[n:]
		if len(*s.buffer) == bufferHead+maxChunk {
			s.seal()
			s.send()
			s.begun = true
			*s.buffer = (*s.buffer)[:bufferHead]
		}
	}
	return written, nil
}

// seal writes the head of the buffer.
func (s *clientSubmission) seal() {
	b := *s.buffer
	b[0] = streamVersion
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-bufferHead))
}

// send sends the buffer. Where that fails and the buffer still holds all of
// the submission, it tries another connection: without the last byte, which
// the service did not get, nothing is queued.
func (s *clientSubmission) send() {
	for s.code == 0 {
		if s.conn == nil {
			s.connect()
			continue
		}
		b := *s.buffer
		if s.old || s.begun {
			b = b[1:]
		}
		s.conn.SetWriteDeadline(time.Now().Add(patience))
		if _, err := s.conn.Write(b); err == nil {
			return
		}
		s.disconnect()
	}
}

// connect takes an idle connection, or from the second try on a new one.
func (s *clientSubmission) connect() {
	s.tries++
	if s.tries == 1 {
		s.conn = s.client.takeIdle()
	}
	s.old = s.conn != nil
	if s.old {
		return
	}
	conn, err := dial(s.client.path)
	if err != nil {
		s.code = 56
		return
	}
	s.conn = conn
}

// disconnect gives up the connection. The submission, which is known not to
// be queued, has failed unless it can begin again.
func (s *clientSubmission) disconnect() {
	s.conn.Close()
	s.conn = nil
	if s.begun || s.tries == maxTries {
		s.code = 74
	}
}

func (s *clientSubmission) Commit(e Envelope) Result {
	return s.commitEnvelope(appendEnvelope(nil, e))
}

// commitEnvelope is Commit with the envelope as qmail-queue reads it.
func (s *clientSubmission) commitEnvelope(envelope []byte) Result {
	s.acquire()
	defer s.release()
	s.seal()
	b := *s.buffer
	if len(b) > bufferHead {
		b = appendHeader(b, 0)
	}
	b = appendHeader(b, len(envelope))
	*s.buffer = append(b, envelope...)
	for {
		s.send()
		if s.code != 0 {
			return Result{Code: s.code}
		}
		s.conn.SetReadDeadline(time.Now().Add(patience))
		result, err := readAnswer(s.conn)
		if err == nil {
			s.client.putIdle(s.conn)
			return result
		}
		// A reset means that the service closed the connection with bytes of
		// this submission unread. At any other end it may have had them all.
		s.disconnect()
		if !errors.Is(err, unix.ECONNRESET) {
			return Result{Code: 74}
		}
	}
}

func (s *clientSubmission) Abandon() {
	defer s.release()
	if s.conn == nil {
		return
	}
	if _, err := s.conn.Write(appendHeader(nil, abandonMark)); err != nil {
		s.conn.Close()
		return
	}
	s.client.putIdle(s.conn)
}

// acquire takes a buffer for the submission.
func (s *clientSubmission) acquire() {
	if s.buffer == nil {
		s.buffer = buffers.Get().(*[]byte)
	}
}

// release gives the buffer back.
func (s *clientSubmission) release() {
	if s.buffer != nil && cap(*s.buffer) == bufferCap {
		*s.buffer = (*s.buffer)[:bufferHead]
		buffers.Put(s.buffer)
	}
	s.buffer = nil
}
