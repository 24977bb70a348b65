package filters

import (
	"io"
	"os"

	"qmail-smtpd/internal/command"
)

const bufferSize = 64 << 10

// stream copies standard input to standard output, and returns the exit code.
// What is written for in is what edit appends to out; it is last called with
// nothing, at the end of the input.
func stream(name string, edit func(out, in []byte, last bool) []byte) int {
	in := make([]byte, bufferSize)
	var out []byte
	for {
		n, err := os.Stdin.Read(in)
		if err != nil && err != io.EOF {
			return command.Fatal(name, "unable to read input", err)
		}
		if out = edit(out[:0], in[:n], err == io.EOF); len(out) > 0 {
			if _, err := os.Stdout.Write(out); err != nil {
				return command.Fatal(name, "unable to write output", err)
			}
		}
		if err == io.EOF {
			return 0
		}
	}
}
