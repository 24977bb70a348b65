package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A connection is one submitter's.
type connection struct {
	service  *service
	conn     net.Conn
	uid      uint32
	chunk    chunk
	envelope *bufio.Reader
}

// greeted takes the version that begins the stream.
func (c *connection) greeted() bool {
	version, err := c.chunk.stream.ReadByte()
	if err != nil {
		return false
	}
	if version != streamVersion {
		c.service.warn(fmt.Sprintf("uid %d speaks version %d of the protocol, not %d", c.uid, version, streamVersion), nil)
		return false
	}
	return true
}

const copySize = 32 << 10

// copyBuffers are for what goes from a connection to a message.
var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// submission serves one submission. It returns false where it was the last
// on the connection.
func (c *connection) submission() bool {
	length, err := c.chunk.next()
	if err != nil {
		return false
	}
	c.service.busy(c.conn)
	c.service.clearSometimes(time.Now())
	switch length {
	case abandonMark:
		return true
	case statusMark:
		c.chunk.left = 0
		return c.answer(appendReply(nil, 0, string(c.service.journal.appendStatus(nil))))
	}
	message := c.service.journal.begin(c.uid)
	if err := c.message(message, length); err != nil {
		message.Abandon()
		if err != errAbandoned {
			c.warn(message, "broke off", err)
			return false
		}
		return true
	}
	c.envelope.Reset(&c.chunk)
	result := message.commitFrom(c.envelope, c.chunk.left)
	if _, err := io.Copy(io.Discard, &c.chunk); err != nil {
		c.warn(message, "broke off", err)
		return false
	}
	if result.Code != 0 {
		c.warn(message, fmt.Sprintf("refused with code %d", result.Code), message.err)
	}
	return c.answer(appendAnswer(nil, result))
}

func (c *connection) answer(text []byte) bool {
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(text)
	return err == nil
}

// message takes a message whose first chunk has the given length, up to the
// envelope.
func (c *connection) message(to io.Writer, length uint32) (err error) {
	buffer := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buffer)
	for length != 0 && length != abandonMark {
		if _, err := io.CopyBuffer(to, &c.chunk, buffer[:]); err != nil {
			return err
		}
		if length, err = c.next(); err != nil {
			return err
		}
	}
	if length == 0 {
		if length, err = c.next(); err != nil {
			return err
		}
	}
	if length == abandonMark {
		return errAbandoned
	}
	return nil
}

// next reads the header of the next chunk of a submission.
func (c *connection) next() (length uint32, err error) {
	length, err = c.chunk.next()
	c.service.progress(c.conn)
	return length, err
}

// warn logs what became of a submission.
func (c *connection) warn(s *intake, what string, err error) {
	line := fmt.Sprintf("message %d from uid %d %s", s.number, c.uid, what)
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		line += ": unable to " + path.Op + " " + path.Path
	case errors.As(err, &link):
		line += ": unable to " + link.Op + " " + link.New
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = nil
	}
	c.service.warn(line, err)
}

// peer returns the uid of the process that connected.
func peer(conn net.Conn) (uint32, error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
