package smtp

import (
	"bytes"
	"strings"
	"testing"
)

// states decodes a body by the table of states of the original: what it
// stores, how much it takes, and how it ends. It is slow and plain, and the
// measure for body.
func states(in []byte) (stored []byte, taken, hops int, status bodyStatus) {
	state := 1
	header, position := true, 0
	var line []byte
	for i, b := range in {
		if header {
			line = append(line, b)
			if text := strings.ToLower(string(line)); position == 7 && text == "received" || position == 8 && text == "delivered" {
				hops++
			}
			if string(line) == "\r\n" {
				header = false
			}
			position++
			if b == '\n' {
				line, position = nil, 0
			}
		}
		if b == '\n' {
			switch state {
			case 0, 1, 2:
				return stored, i, hops, bodyBareLF
			case 3:
				return stored, i + 1, hops, bodyEnded
			}
			stored = append(stored, '\n')
			state = 1
			continue
		}
		dot, cr := b == '.', b == '\r'
		switch state {
		case 0:
			if cr {
				state = 4
				continue
			}
		case 1:
			if dot {
				state = 2
				continue
			}
			if cr {
				state = 4
				continue
			}
			state = 0
		case 2:
			if cr {
				state = 3
				continue
			}
			state = 0
		case 3:
			stored = append(stored, ".\r"...)
			if cr {
				state = 4
				continue
			}
			state = 0
		case 4:
			stored = append(stored, '\r')
			if cr {
				continue
			}
			state = 0
		}
		stored = append(stored, b)
	}
	return stored, len(in), hops, bodyGoesOn
}

// decodeInPieces decodes in, of which each read brings at most size bytes.
func decodeInPieces(in []byte, size int) (stored []byte, taken, hops int, status bodyStatus) {
	var b body
	var buf []byte
	for at := 0; ; {
		n := min(size, len(in)-at)
		buf = append(buf, in[at:at+n]...)
		at += n
		s, used, status := b.decode(buf)
		stored = append(stored, buf[:s]...)
		taken += used
		buf = bytes.Clone(buf[used:])
		if status != bodyGoesOn || at == len(in) {
			return stored, taken, b.hops, status
		}
	}
}

func compareBody(t *testing.T, in []byte, size int) {
	t.Helper()
	wantStored, wantTaken, wantHops, wantStatus := states(in)
	stored, taken, hops, status := decodeInPieces(in, size)
	if status != wantStatus {
		t.Fatalf("%q by %d: status %v, want %v", in, size, status, wantStatus)
	}
	switch status {
	case bodyEnded:
		if taken != wantTaken || hops != wantHops || !bytes.Equal(stored, wantStored) {
			t.Fatalf("%q by %d: %q, %d taken, %d hops; want %q, %d, %d", in, size, stored, taken, hops, wantStored, wantTaken, wantHops)
		}
	case bodyGoesOn:
		if !bytes.HasPrefix(wantStored, stored) || len(in)-taken >= lookahead {
			t.Fatalf("%q by %d: %q, %d taken; want %q", in, size, stored, taken, wantStored)
		}
	}
}

// All short bodies of the bytes that mean something.
func TestBodyStates(t *testing.T) {
	alphabet := "\r\n.x"
	for length := range 9 {
		in := make([]byte, length)
		total := 1
		for range length {
			total *= len(alphabet)
		}
		for n := range total {
			for i, rest := 0, n; i < length; i++ {
				in[i] = alphabet[rest%len(alphabet)]
				rest /= len(alphabet)
			}
			compareBody(t, in, length+1)
			compareBody(t, in, 1)
		}
	}
}

func TestBodyHops(t *testing.T) {
	for _, text := range []string{
		"Received: x\r\nDELIVERED-to: x\r\nreceivedfoo\r\ndeliveredX\r\n\r\nReceived: body\r\n.\r\n",
		".Received: x\r\n..Received: x\r\n Received: x\r\nReceive: x\r\nDelivere: x\r\n\r\r\nReceived: x\r\n.\r\n",
		"received\r\ndelivered\r\nreceive\r\n.\rReceived\r\n\rx\r\nreceived\r\n.\r\n",
	} {
		for size := 1; size < 40; size++ {
			compareBody(t, []byte(text), size)
		}
	}
}

// A line that fills the buffer, or nearly, is not cut where it must not be.
func TestBodyLongLines(t *testing.T) {
	for length := 60; length < 70; length++ {
		in := []byte(strings.Repeat("x", length) + "\r\n..\r\n" + strings.Repeat(".", length) + "\r\r\n.\r\nquit\r\n")
		for size := 1; size < 70; size++ {
			compareBody(t, in, size)
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte("Received: x\r\n\r\n..\r\n.\rx\r\n.\r\n"), 1)
	f.Add([]byte("a\r\n.\nb"), 3)
	f.Add([]byte("\r\r\n.\r\r\n.\r"), 2)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if size < 1 {
			size = 1
		}
		compareBody(t, in, size)
	})
}
