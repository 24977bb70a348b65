package svcompat

import (
	"os"

	"golang.org/x/sys/unix"
)

// A terminal is what standard output can show.
type terminal struct {
	width  int // columns; 0: no limit
	colour bool
}

// terminalOf tells what is behind a descriptor. What is no terminal has
// neither width nor colours, and NO_COLOR in the environment takes the latter.
func terminalOf(fd int) terminal {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return terminal{}
	}
	term := os.Getenv("TERM")
	return terminal{
		width:  int(size.Col),
		colour: os.Getenv("NO_COLOR") == "" && term != "" && term != "dumb",
	}
}

// appendColoured appends text with the n bytes at from in the colour of mood.
func (t terminal) appendColoured(b []byte, text string, from, n int, mood mood) []byte {
	colour := [...]string{fine: "\x1b[32m", unusual: "\x1b[33m", bad: "\x1b[31m"}[mood]
	if !t.colour || colour == "" || from >= len(text) {
		return append(b, text...)
	}
	end := min(from+n, len(text))
	b = append(append(b, text[:from]...), colour...)
	b = append(append(b, text[from:end]...), "\x1b[0m"...)
	return append(b, text[end:]...)
}

// visible returns text with every byte that is not printable ASCII as \xNN
// (a tab as \t), so that nothing in it can steer a terminal, in whatever
// character set that is.
func visible(text string) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(text))
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c > '~':
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}
