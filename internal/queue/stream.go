package queue

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strconv"
)

// The stream between a submitter and the queue service, on a unix socket.
//
// The submitter begins the connection with streamVersion. Each submission is
// the message in chunks, a chunk of length 0, and the envelope as one chunk
// in the form in which qmail-queue reads it on descriptor 1. A chunk is its
// length, 4 bytes big-endian, and its bytes. The length abandonMark in place
// of any of these chunks abandons the submission, and is not answered.
//
// The service answers when it has read the envelope's last byte, and not
// before: one byte, the exit code of qmail-queue, the length of a text, 2
// bytes big-endian, and the text. With code 0 the text is the decimal number
// under which the message was queued; otherwise it is what a queue program
// would write to descriptor 6. Nothing was queued where the stream ends
// before the envelope does.
//
// The length statusMark in place of the first chunk of a submission asks how
// the queue is instead. It is answered in the same form, with code 0 and lines
// for a person as the text.
const (
	streamVersion = 1
	abandonMark   = math.MaxUint32
	statusMark    = abandonMark - 1
	headerSize    = 4
)

// appendHeader appends the header of a chunk of length bytes.
func appendHeader(b []byte, length int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(length))
}

// A chunk reads the bytes of one chunk from a stream. It fails with
// io.ErrUnexpectedEOF where the stream ends too early.
type chunk struct {
	stream *bufio.Reader
	left   uint32
}

// next reads the header of the next chunk. It fails with io.EOF where the
// stream ends before it.
func (c *chunk) next() (length uint32, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(c.stream, header[:]); err != nil {
		return 0, err
	}
	length = binary.BigEndian.Uint32(header[:])
	if length != abandonMark {
		c.left = length
	}
	return length, nil
}

func (c *chunk) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if uint64(len(p)) > uint64(c.left) {
		p = p[:c.left]
	}
	n, err := c.stream.Read(p)
	c.left -= uint32(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// appendAnswer appends the service's answer about result.
func appendAnswer(b []byte, result Result) []byte {
	text := result.Text
	if result.Code == 0 {
		text = strconv.Itoa(result.Number)
	}
	return appendReply(b, result.Code, text)
}

// appendReply appends an answer.
func appendReply(b []byte, code int, text string) []byte {
	text = text[:min(len(text), math.MaxUint16)]
	b = append(b, byte(code))
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

// readReply reads an answer.
func readReply(r io.Reader) (code int, text []byte, err error) {
	var header [3]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	text = make([]byte, binary.BigEndian.Uint16(header[1:]))
	_, err = io.ReadFull(r, text)
	return int(header[0]), text, err
}

var errAnswer = errors.New("malformed answer")

// readAnswer reads the service's answer.
func readAnswer(r io.Reader) (Result, error) {
	code, text, err := readReply(r)
	if err != nil {
		return Result{}, err
	}
	result := Result{Code: code}
	if result.Code != 0 {
		result.Text = string(text[:min(len(text), maxText)])
		return result, nil
	}
	number, err := strconv.Atoi(string(text))
	if err != nil || number < 0 {
		return Result{}, errAnswer
	}
	result.Number = number
	return result, nil
}
