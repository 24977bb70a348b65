package tcpserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/ucspi"
)

// handlerOf returns the handler that serves in place of the program, or nil
// where a program has to be run: args[0], and each program that a filter goes
// on with, must be the very file that is running, and be known by its base
// name. The refuser is that of the last program, nil where it is none.
func handlerOf(args []string, builtins map[string]ucspi.Builtin, filters map[string]ucspi.Filter) (
	handler ucspi.Handler, refuser ucspi.Refuser, err error) {
	var build ucspi.Builtin
	build = func(args []string) (ucspi.Handler, error) {
		name := command.Base(args)
		if program, ok := builtins[name]; ok && isSelf(args[0]) {
			handler, err := program(args)
			refuser, _ = handler.(ucspi.Refuser)
			return handler, err
		}
		if filter, ok := filters[name]; ok && isSelf(args[0]) {
			return filter(args, build)
		}
		return nil, ucspi.ErrNotBuiltin
	}
	handler, err = build(args)
	if errors.Is(err, ucspi.ErrNotBuiltin) {
		return nil, nil, nil
	}
	return handler, refuser, failed("unable to run "+args[0], err)
}

// isSelf tells whether a program is the file that is running.
func isSelf(program string) bool {
	path, err := command.Find(program)
	if err != nil {
		return false
	}
	var found, self unix.Stat_t
	return unix.Stat(path, &found) == nil && unix.Stat("/proc/self/exe", &self) == nil &&
		found.Dev == self.Dev && found.Ino == self.Ino
}

// session serves a connection inside this process and closes it.
func (s *server) session(c *connection, env *ucspi.Env) waitStatus {
	conn := newConn(c)
	defer conn.Close()
	return exited(s.callHandler(&ucspi.Conn{Conn: conn, Env: env, ID: c.id}))
}

// callHandler keeps a fault in one session from ending all others.
func (s *server) callHandler(conn *ucspi.Conn) (exit int) {
	defer func() {
		if fault := recover(); fault != nil {
			s.log.warn(printable(fmt.Sprintf("dropping connection, %s %d failed at %s: %v",
				command.Base(s.program), conn.ID, faultPlace(), fault)))
			exit = command.ExitTemporary
		}
	}()
	return s.handler.Serve(s.sessions, conn)
}

// faultPlace tells a deferred function which line of the source panicked.
func faultPlace() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicking := false
	for {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime || !more {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		panicking = panicking || inRuntime
	}
}

// printable keeps text on one line of the log.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// A conn is a connection's socket, non-blocking, as a net.Conn. It does
// without what the net package would ask the kernel about each.
type conn struct {
	*os.File
	local, remote netip.AddrPort
}

func newConn(c *connection) *conn {
	return &conn{os.NewFile(uintptr(c.fd), "connection"), c.local, c.remote}
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.File.Read(b)
	return n, c.opError("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.File.Write(b)
	return n, c.opError("write", err)
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// opError gives err the type that users of a net.Conn expect.
func (c *conn) opError(op string, err error) error {
	fault, ok := err.(*os.PathError)
	if !ok {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: fault.Err}
}
