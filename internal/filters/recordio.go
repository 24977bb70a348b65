package filters

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"

	"qmail-smtpd/internal/ucspi"
)

// Recordio is the command recordio: it runs a program and writes to standard
// error what the program reads and writes.
func Recordio(args []string) int {
	return between("recordio", args, record)
}

// NewRecordio is the ucspi.Filter of recordio.
func NewRecordio(args []string, next ucspi.Builtin) (ucspi.Handler, error) {
	return newHandler(args, next, record)
}

func record(id int) (in, out filter) {
	return newRecorder(os.Stderr, id, '<'), newRecorder(os.Stderr, id, '>')
}

// A recorder writes the lines of the log about one direction.
type recorder struct {
	w      io.Writer // gets whole lines
	line   []byte
	prefix int // how much of line stays as it is
}

func newRecorder(w io.Writer, id int, direction byte) *recorder {
	line := strconv.AppendInt(make([]byte, 0, packet+32), int64(id), 10)
	line = append(line, ' ', direction, ' ')
	return &recorder{w, line, len(line)}
}

// pass implements filter. A line that passes becomes a line of the log that
// ends with a blank; a packet that ends within a line, one that ends with a
// plus.
func (r *recorder) pass(b []byte) []byte {
	for text := range slices.Chunk(b, packet) {
		for len(text) > 0 {
			line, rest, whole := bytes.Cut(text, []byte("\n"))
			if whole {
				r.log(line, " \n")
			} else {
				r.log(line, "+\n")
			}
			text = rest
		}
	}
	return b
}

// end implements filter.
func (r *recorder) end() {
	r.log(nil, "[EOF]\n")
}

// log writes a line in one piece. Where nobody reads the log any more the
// program goes on.
func (r *recorder) log(text []byte, ending string) {
	r.line = append(append(r.line[:r.prefix], text...), ending...)
	r.w.Write(r.line)
}
