package tcpserver

import (
	"strconv"
	"sync"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
)

// A verbosity says which lines are logged.
type verbosity int

const (
	nothing verbosity = iota
	errorsOnly
	everything
)

// A logger writes lines to standard error. A write holds whole lines, and
// nothing is lost where the descriptor is non-blocking and full.
type logger struct {
	verbosity verbosity

	mu  sync.Mutex
	buf []byte
}

// print writes the lines that add appends, where everything is logged.
func (l *logger) print(add func(b []byte) []byte) {
	if l.verbosity >= everything {
		l.write(add)
	}
}

// warn writes a warning.
func (l *logger) warn(text string) {
	if l.verbosity < errorsOnly {
		return
	}
	l.write(func(b []byte) []byte {
		b = append(b, "tcpserver: warning: "...)
		b = append(b, text...)
		return append(b, '\n')
	})
}

// fatal says why the server cannot start and returns the exit code.
func (l *logger) fatal(err error) int {
	if l.verbosity < errorsOnly {
		return command.ExitTemporary
	}
	return command.Fatal("tcpserver", err.Error(), nil)
}

func (l *logger) write(add func(b []byte) []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = add(l.buf[:0])
	writeAll(2, l.buf) // where nobody reads any more, the classic goes on as well
}

func appendStatus(b []byte, active, limit uint64) []byte {
	b = append(b, "tcpserver: "...)
	b = appendCount(b, active, limit)
	return append(b, '\n')
}

func appendCount(b []byte, active, limit uint64) []byte {
	b = append(b, "status: "...)
	b = strconv.AppendUint(b, active, 10)
	b = append(b, '/')
	return strconv.AppendUint(b, limit, 10)
}

func appendStart(b []byte, id int, c *connection) []byte {
	b = append(b, "tcpserver: pid "...)
	b = strconv.AppendInt(b, int64(id), 10)
	b = append(b, " from "...)
	b = append(b, c.remoteIP...)
	return append(b, '\n')
}

// appendVerdict appends the line about a connection that is served or denied;
// passed is the limit for which it is denied, or empty.
func appendVerdict(b []byte, verdict string, id int, c *connection, passed string) []byte {
	b = append(b, "tcpserver: "...)
	b = append(b, verdict...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(id), 10)
	b = append(b, ' ')
	b = appendField(b, c.localHost)
	b = append(b, ':')
	b = append(b, c.localIP...)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(c.local.Port()), 10)
	b = append(b, ' ')
	b = appendField(b, c.remoteHost)
	b = append(b, ':')
	b = append(b, c.remoteIP...)
	b = append(b, ':')
	b = appendField(b, c.info)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(c.remote.Port()), 10)
	if passed != "" {
		b = append(append(b, ' '), passed...)
	}
	return append(b, '\n')
}

// appendField appends text from outside so that it cannot be taken for
// anything else in the line.
func appendField(b []byte, n inet.Name) []byte {
	for i := range len(n.Text) {
		if i == 100 {
			break
		}
		c := n.Text[i]
		if c < 33 || c > 126 || c == '%' || c == ':' {
			c = '?'
		}
		b = append(b, c)
	}
	if len(n.Text) >= 100 {
		b = append(b, "..."...)
	}
	return b
}

func appendEnd(b []byte, id int, status waitStatus) []byte {
	b = append(b, "tcpserver: end "...)
	b = strconv.AppendInt(b, int64(id), 10)
	b = append(b, " status "...)
	b = strconv.AppendUint(b, uint64(status), 10)
	return append(b, '\n')
}
