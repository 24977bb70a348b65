package queue

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxAddress is the length in bytes of the longest address that the queue
// takes.
const maxAddress = 1002

// appendEnvelope appends e to b as qmail-queue reads it on descriptor 1. An
// address ends at its first NUL.
func appendEnvelope(b []byte, e Envelope) []byte {
	b = appendAddress(b, 'F', e.Sender)
	for _, recipient := range e.Recipients {
		b = appendAddress(b, 'T', recipient)
	}
	return append(b, 0)
}

func appendAddress(b []byte, letter byte, address string) []byte {
	address, _, _ = strings.Cut(address, "\x00")
	b = append(b, letter)
	b = append(b, address...)
	return append(b, 0)
}

// copyEnvelope reads an envelope from r up to its end and writes its records
// to w in the form that todo/ holds: without the final NUL. It returns the
// exit code: 0; 11 for an address that is too long; 91 for what is no
// envelope; 54 where r ends too early. Errors of w stay with w.
//
// The records before a fault have been written.
func copyEnvelope(w *bufio.Writer, r *bufio.Reader) int {
	for letter := byte('F'); ; letter = 'T' {
		first, err := r.ReadByte()
		switch {
		case err != nil:
			return 54
		case first == 0 && letter == 'T':
			return 0
		case first != letter:
			return 91
		}
		address, err := r.ReadSlice(0)
		switch {
		case err == nil && len(address) > maxAddress+1,
			err != nil && len(address) > maxAddress,
			errors.Is(err, bufio.ErrBufferFull):
			return 11
		case err != nil:
			return 54
		}
		w.WriteByte(letter)
		w.Write(address)
	}
}

// envelopeErrors say what the exit codes of copyEnvelope mean.
var envelopeErrors = map[int]error{
	11: errors.New("address too long"),
	54: errors.New("envelope ends too early"),
	91: errors.New("malformed envelope"),
}

// readEnvelope reads from r as far as an envelope goes, or to its first
// fault, and returns what it read; there may be junk behind the end. What is
// wrong with it is for the queue to say. It fails where the envelope goes on
// beyond limit bytes.
func readEnvelope(r io.Reader, limit int64) ([]byte, error) {
	limited := &io.LimitedReader{R: r, N: limit}
	var read capture
	code := copyEnvelope(bufio.NewWriter(io.Discard), bufio.NewReader(io.TeeReader(limited, &read)))
	if code == 54 && limited.N == 0 {
		return nil, errors.New("envelope too long")
	}
	return read, nil
}

// capture collects what is written to it.
type capture []byte

func (c *capture) Write(p []byte) (int, error) {
	*c = append(*c, p...)
	return len(p), nil
}
