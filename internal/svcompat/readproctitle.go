package svcompat

import (
	"bytes"
	"io"
	"os"
	"unsafe"

	"qmail-smtpd/internal/command"
)

// titleMargin is how many dots stay at the left of a title.
const titleMargin = 3

// Readproctitle shows the end of what it reads in its own last argument, for
// ps and other programs that list processes.
func Readproctitle(args []string) int {
	last := args[len(args)-1]
	if len(args) < 2 || len(last) < titleMargin+2 {
		return command.ExitUsage
	}
	// The Go runtime does not copy the arguments: this is the memory in which
	// the kernel put them and from which it shows them.
	title := unsafe.Slice(unsafe.StringData(last), len(last))
	for i := range title {
		title[i] = '.'
	}
	buf := make([]byte, 4096)
	for {
		n, err := os.Stdin.Read(buf)
		shiftIn(title[titleMargin:], bytes.ReplaceAll(buf[:n], []byte{0}, nil))
		switch {
		case err == io.EOF:
			return 0
		case err != nil:
			return command.ExitTemporary
		}
	}
}

// shiftIn moves the bytes of title to the left to make room for text at its
// right end.
func shiftIn(title, text []byte) {
	if drop := len(text) - len(title); drop > 0 {
		text = text[drop:]
	}
	copy(title, title[len(text):])
	copy(title[len(title)-len(text):], text)
}
