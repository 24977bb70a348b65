package multilog

import (
	"bytes"
	"io"
	"os"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/tai64"
)

// TAI64N is the command tai64n: it copies standard input to standard output
// with a label in front of each line. It returns 0 at the end of the input,
// and command.ExitTemporary when it cannot read or write.
func TAI64N(args []string) int {
	in := make([]byte, bufferSize)
	var out, now []byte
	lineStart := true
	for {
		n, err := os.Stdin.Read(in)
		if n > 0 {
			now = append(tai64.AppendLabel(now[:0], time.Now()), ' ')
			out = out[:0]
			for data := in[:n]; len(data) > 0; {
				if lineStart {
					out = append(out, now...)
				}
				end := bytes.IndexByte(data, '\n') + 1
				lineStart = end > 0
				if !lineStart {
					end = len(data)
				}
				out = append(out, data[:end]...)
				data = data[end:]
			}
			if _, err := os.Stdout.Write(out); err != nil {
				return command.Fatal("tai64n", "unable to write output", err)
			}
		}
		if err == io.EOF {
			return 0
		}
		if err != nil {
			return command.Fatal("tai64n", "unable to read input", err)
		}
	}
}
