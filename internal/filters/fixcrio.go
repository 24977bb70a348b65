package filters

import (
	"bytes"

	"qmail-smtpd/internal/ucspi"
)

// Fixcrio is the command fixcrio: it runs a program and inserts the carriage
// returns that are missing before the line feeds that it reads and writes.
func Fixcrio(args []string) int {
	return between("fixcrio", args, fixLines)
}

// NewFixcrio is the ucspi.Filter of fixcrio.
func NewFixcrio(args []string, next ucspi.Builtin) (ucspi.Handler, error) {
	return newHandler(args, next, fixLines)
}

func fixLines(int) (in, out filter) {
	return &lineFixer{}, &lineFixer{}
}

// A lineFixer fixes the ends of lines in one direction.
type lineFixer struct {
	last  byte // that passed
	fixed []byte
}

// pass implements filter.
func (f *lineFixer) pass(b []byte) []byte {
	f.fixed = f.fixed[:0]
	rest := b
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			f.last = rest[i-1]
		}
		f.fixed = append(f.fixed, rest[:i]...)
		if f.last != '\r' {
			f.fixed = append(f.fixed, '\r')
		}
		f.fixed = append(f.fixed, '\n')
		f.last = '\n'
		rest = rest[i+1:]
	}
	if len(rest) > 0 {
		f.last = rest[len(rest)-1]
	}
	if len(f.fixed)+len(rest) == len(b) {
		return b
	}
	f.fixed = append(f.fixed, rest...)
	return f.fixed
}

// end implements filter.
func (f *lineFixer) end() {}
