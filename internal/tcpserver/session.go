package tcpserver

import (
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

// builtin returns the handler that serves in place of the program, or nil
// where a program has to be run: the file that args[0] names must be the
// very one that is running, and its base name one of builtins.
func builtin(args []string, builtins map[string]ucspi.Builtin) (ucspi.Handler, error) {
	build, ok := builtins[command.Base(args)]
	if !ok {
		return nil, nil
	}
	path, err := command.Find(args[0])
	if err != nil {
		return nil, nil
	}
	var program, self unix.Stat_t
	if unix.Stat(path, &program) != nil || unix.Stat("/proc/self/exe", &self) != nil {
		return nil, nil
	}
	if program.Dev != self.Dev || program.Ino != self.Ino {
		return nil, nil
	}
	handler, err := build(args)
	return handler, failed("unable to run "+args[0], err)
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
