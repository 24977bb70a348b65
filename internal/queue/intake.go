package queue

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
)

const (
	// maxSmall is the largest message, in bytes, that goes through the journal;
	// others have their own files from the beginning.
	maxSmall = 64 << 10

	// maxSmallEnvelope is the same for the envelope.
	maxSmallEnvelope = 64 << 10
)

// An intake is a submission to the queue service. It keeps a small message in
// memory, for the journal, and lets one that becomes too large for that go to
// the queue on disk.
type intake struct {
	invoker
	journal *journal
	text    *[]byte // with the Received line, in the room that begins it
	head    int     // length of the Received line
	direct  *diskSubmission
	err     error
}

var texts = sync.Pool{New: func() any { return new([]byte) }}

// begin opens a submission of the user uid.
func (j *journal) begin(uid uint32) *intake {
	d := j.disk
	s := &intake{journal: j, invoker: d.invoker(uid)}
	if j.switchedOff() {
		s.divert()
		return s
	}
	s.text = texts.Get().(*[]byte)
	*s.text = append((*s.text)[:0], d.receivedLine(s.invoker)...)
	s.head = len(*s.text)
	return s
}

// switchedOff tells whether HOME/control/queuejournal says 0.
func (j *journal) switchedOff() bool {
	path := j.disk.home + "/control/queuejournal"
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	return err == nil && string(bytes.TrimRight(first, " \t")) == "0"
}

// divert lets the submission go to the queue on disk.
func (s *intake) divert() {
	s.direct = s.journal.disk.beginAs(s.invoker)
	if s.text != nil {
		s.direct.Write((*s.text)[s.head:])
		s.release()
	}
}

func (s *intake) release() {
	if s.text != nil {
		texts.Put(s.text)
		s.text = nil
	}
}

func (s *intake) Write(p []byte) (int, error) {
	if s.direct == nil && len(*s.text)+len(p) > maxSmall {
		s.divert()
	}
	if s.direct != nil {
		return s.direct.Write(p)
	}
	*s.text = append(*s.text, p...)
	return len(p), nil
}

func (s *intake) Abandon() {
	if s.direct != nil {
		s.direct.Abandon()
	}
	s.release()
}

// commitFrom submits the message with the envelope of size bytes that r has.
// It reads to the end of r, or to the first failure.
func (s *intake) commitFrom(r *bufio.Reader, size uint32) Result {
	if s.direct == nil && size > maxSmallEnvelope {
		s.divert()
	}
	if s.direct != nil {
		result := s.direct.commitFrom(r)
		s.err = s.direct.err
		return result
	}
	defer s.release()
	length := len(*s.text)
	out := writers.Get().(*bufio.Writer)
	out.Reset((*capture)(s.text))
	s.invoker.writeTo(out)
	out.Flush()
	sender := len(*s.text)
	code := copyEnvelope(out, r)
	out.Flush()
	writers.Put(out)
	// Where the envelope comes in a frame, the whole of that must be there.
	if _, err := io.Copy(io.Discard, r); err != nil {
		code = 54
	}
	if code != 0 {
		return s.fail(code, envelopeErrors[code])
	}
	if s.expired() {
		return s.fail(52, errExpired)
	}
	text, envelope := (*s.text)[:length], (*s.text)[length:]
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(length))
	_, err := s.journal.append(messageRecord, head[:], text, envelope)
	switch {
	case err == errUnavailable:
		raw := append((*s.text)[sender:len(*s.text):len(*s.text)], 0)
		s.direct = s.journal.disk.beginAs(s.invoker)
		s.direct.Write(text[s.head:])
		result := s.direct.commitEnvelope(raw)
		s.err = s.direct.err
		return result
	case err != nil:
		return s.fail(53, err)
	}
	return Result{Number: s.number}
}

// fail returns the result of a submission that failed.
func (s *intake) fail(code int, err error) Result {
	s.err = err
	return Result{Code: code, Number: s.number}
}
