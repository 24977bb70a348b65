package multilog

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// logOutput collects, for one batch, the lines for directories that get the
// same lines.
type logOutput struct {
	dirs     []*logDir
	selected bool // the last line was selected

	collected []byte // selected text before the last run
	from, to  int    // the last run of selected text
}

// add selects text[start:next]. Runs that touch are written without a copy.
func (o *logOutput) add(text []byte, start, next int) {
	if o.to != start {
		o.collected = append(o.collected, text[o.from:o.to]...)
		o.from = start
	}
	o.to = next
}

func (o *logOutput) flush(text []byte) {
	run := text[o.from:o.to]
	if len(o.collected) > 0 {
		o.collected = append(o.collected, run...)
		run = o.collected
	}
	o.write(run)
	o.collected = o.collected[:0]
	o.from, o.to = 0, 0
}

func (o *logOutput) write(text []byte) {
	for _, dir := range o.dirs {
		dir.write(text)
	}
}

// stderrLimit is how much of a line goes to standard error.
const stderrLimit = 200

// pipeBuf is what a pipe takes in one piece, beside what others write.
const pipeBuf = 4096

// stderrOutput sends lines to standard error. What cannot be written there is
// dropped, as in the classic program: it must not hold up the log.
type stderrOutput struct {
	buf []byte
}

func (o *stderrOutput) add(line []byte) {
	dots := ""
	if len(line) > stderrLimit {
		line, dots = line[:stderrLimit], "..."
	}
	if len(o.buf)+len(line)+len(dots)+1 > pipeBuf {
		o.flush()
	}
	o.buf = append(o.buf, line...)
	o.buf = append(o.buf, dots...)
	o.buf = append(o.buf, '\n')
}

func (o *stderrOutput) flush() {
	if len(o.buf) > 0 {
		os.Stderr.Write(o.buf)
		o.buf = o.buf[:0]
	}
}

// statusSize is how much of a status file is written: a line and newlines.
const statusSize = lineLimit + 1

// statusFile holds the last line selected for it.
type statusFile struct {
	path string
	fd   int
	line []byte // the last selected line of the batch; nil: none
}

// openStatusFile opens the file at path, and makes it where there is none.
func openStatusFile(path string) (*statusFile, error) {
	made, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fatal{"unable to create " + path, err}
	}
	unix.Close(made)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fatal{"unable to write " + path, err}
	}
	return &statusFile{path: path, fd: fd}, nil
}

func (f *statusFile) set(line []byte) { f.line = line }

// flush overwrites the start of the file, in place.
func (f *statusFile) flush() {
	if f.line == nil {
		return
	}
	var content [statusSize]byte
	for i := copy(content[:], f.line); i < len(content); i++ {
		content[i] = '\n'
	}
	f.line = nil
	persist("unable to move to beginning of "+f.path, func() error {
		_, err := unix.Seek(f.fd, 0, io.SeekStart)
		return err
	})
	writeAll(f.fd, content[:], "unable to write "+f.path)
}
