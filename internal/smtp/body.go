package smtp

import "bytes"

// A body decodes the lines after DATA: CR LF becomes LF, the dots that
// transparency added go away, and only CR LF "." CR LF ends it. A LF that no
// CR precedes is an error, wherever it stands. All other bytes, CR among
// them, are the message's own.
//
// It also counts the lines of the header that tell of hops.
type body struct {
	midLine    bool // the last line is incomplete, and its beginning was handed out
	headerOver bool
	hops       int
}

type bodyStatus int

const (
	bodyGoesOn bodyStatus = iota
	bodyEnded
	bodyBareLF
)

// hopPrefixes begin the header lines that are counted as hops. They are
// looked for in the bytes as sent, before dots are removed.
var hopPrefixes = [...]string{"received", "delivered"}

// lookahead is how many bytes of a line decode needs to see at once, when
// the line is longer.
const lookahead = len("delivered")

// decode decodes buf in place: what is to be stored is buf[:stored], and
// buf[taken:] has not been looked at yet. While the body goes on fewer than
// lookahead bytes are left; they are to be passed again, followed by more.
func (b *body) decode(buf []byte) (stored, taken int, status bodyStatus) {
	for taken < len(buf) {
		rest := buf[taken:]
		lf := bytes.IndexByte(rest, '\n')
		if lf < 0 {
			break
		}
		if lf == 0 || rest[lf-1] != '\r' {
			return stored, taken, bodyBareLF
		}
		line := rest[:lf-1]
		taken += lf + 1
		if !b.midLine {
			if len(line) == 1 && line[0] == '.' {
				return stored, taken, bodyEnded
			}
			line = line[b.begin(rest[:lf+1]):]
		}
		b.midLine = false
		stored += copy(buf[stored:], line)
		buf[stored] = '\n'
		stored++
	}
	rest := buf[taken:]
	if len(rest) == 0 || !b.midLine && len(rest) < lookahead {
		return stored, taken, bodyGoesOn
	}
	taken = len(buf)
	if rest[len(rest)-1] == '\r' {
		rest = rest[:len(rest)-1]
		taken--
	}
	if !b.midLine {
		rest = rest[b.begin(rest):]
		b.midLine = true
	}
	stored += copy(buf[stored:], rest)
	return stored, taken, bodyGoesOn
}

// begin looks at the beginning of a line, as sent, of at least two bytes. It
// returns how many of them transparency added.
func (b *body) begin(line []byte) int {
	if !b.headerOver {
		if string(line) == "\r\n" {
			b.headerOver = true
		}
		for _, prefix := range hopPrefixes {
			if hasPrefixFold(line, prefix) {
				b.hops++
			}
		}
	}
	if line[0] == '.' && line[1] != '\r' {
		return 1
	}
	return 0
}

// hasPrefixFold tells whether line begins with prefix, which is in lower
// case, whatever the case of the line's letters.
func hasPrefixFold(line []byte, prefix string) bool {
	if len(line) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if lower(line[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// lower returns an ASCII letter in lower case, and any other byte as it is.
func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
