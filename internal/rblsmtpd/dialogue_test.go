package rblsmtpd

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzTurnAway checks that every line gets one reply, whatever the packets
// are, and that only a client that quits is told goodbye.
func FuzzTurnAway(f *testing.F) {
	for _, input := range []string{"helo x\r\nquit\r\n", "\n\n", strings.Repeat("x", 600) + "\nquit", "quit\r\nnoop\r\n", "rcpt\x00\nMAIL"} {
		f.Add([]byte(input))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		talk := func(in io.Reader) string {
			var out bytes.Buffer
			turnAway(struct {
				io.Reader
				io.Writer
			}{in, &out}, "451 no")
			return out.String()
		}
		got := talk(bytes.NewReader(input))
		if slow := talk(iotest.OneByteReader(bytes.NewReader(input))); slow != got {
			t.Errorf("%q: %q, and by single bytes %q", input, got, slow)
		}
		replies := strings.Split(strings.TrimSuffix(got, "\r\n"), "\r\n")
		if replies[0] != "220 rblsmtpd.local" {
			t.Errorf("%q: %q", input, got)
		}
		lines := bytes.SplitAfter(input, []byte("\n"))
		lines = lines[:len(lines)-1]
		for i, reply := range replies[1:] {
			switch reply {
			case "451 no", "250 rblsmtpd.local":
			case "221 rblsmtpd.local":
				if !bytes.EqualFold(lines[i][:4], []byte("quit")) || i+2 != len(replies) {
					t.Errorf("%q: %q", input, got)
				}
				return
			default:
				t.Errorf("%q: %q", input, got)
			}
		}
		if len(replies) != len(lines)+1 {
			t.Errorf("%q: %d replies to %d lines", input, len(replies), len(lines))
		}
	})
}
