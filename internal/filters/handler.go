package filters

import (
	"context"
	"io"
	"net"

	"qmail-smtpd/internal/ucspi"
)

// A filter sees, and may change, what passes in one direction.
type filter interface {
	// pass returns what is to pass in place of b: b itself, or bytes that are
	// good until the next call.
	pass(b []byte) []byte
	// end is called at the end of the stream.
	end()
}

// newHandler makes the Handler that puts filters between a connection and the
// program of the command line. filters makes them for the connection with the
// given number.
func newHandler(args []string, next ucspi.Builtin, filters func(id int) (in, out filter)) (ucspi.Handler, error) {
	program, err := next(args[1:])
	return handler{program, filters}, err
}

type handler struct {
	program ucspi.Handler
	filters func(id int) (in, out filter)
}

// Serve implements ucspi.Handler.
func (h handler) Serve(ctx context.Context, c *ucspi.Conn) (exit int) {
	in, out := h.filters(c.ID)
	defer out.end()
	filtered := *c
	filtered.Conn = &conn{Conn: c.Conn, in: in, out: out}
	return h.program.Serve(ctx, &filtered)
}

// A conn is a connection with filters.
type conn struct {
	net.Conn
	in, out filter
	passed  []byte // by in, and not yet read
	ended   bool   // in has been told
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.passed) == 0 {
		n, err := c.Conn.Read(p)
		if err == io.EOF && !c.ended {
			c.ended = true
			c.in.end()
		}
		if n == 0 {
			return 0, err
		}
		c.passed = c.in.pass(p[:n])
	}
	n := copy(p, c.passed)
	c.passed = c.passed[n:]
	return n, nil
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(c.out.pass(p))
	if err != nil {
		return min(n, len(p)), err
	}
	return len(p), nil
}
