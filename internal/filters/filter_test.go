package filters

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

var bareLineFeed = regexp.MustCompile(`(^|[^\r])\n`)

// FuzzLineFixer checks that the pieces in which a stream comes make no
// difference, and that every line feed has its carriage return and nothing
// else changes.
func FuzzLineFixer(f *testing.F) {
	f.Add([]byte("a\nb\r\nc\rd\n\n"), 3)
	f.Add([]byte("\r\n"), 1)
	f.Fuzz(func(t *testing.T, input []byte, at int) {
		if at < 0 || at > len(input) {
			return
		}
		given := string(input)
		var fixer lineFixer
		got := string(fixer.pass(input[:at]))
		got += string(fixer.pass(input[at:]))
		if bareLineFeed.MatchString(got) {
			t.Errorf("%q became %q", given, got)
		}
		if strings.ReplaceAll(got, "\r\n", "\n") != strings.ReplaceAll(given, "\r\n", "\n") {
			t.Errorf("%q became %q", given, got)
		}
		if string(input) != given {
			t.Errorf("the input %q was changed to %q", given, input)
		}
	})
}

// FuzzRecorder checks that the log holds what passed, in lines of one write
// each that show where they are from.
func FuzzRecorder(f *testing.F) {
	f.Add([]byte("a\nb\r\npart"))
	f.Add(bytes.Repeat([]byte("x"), 600))
	f.Add([]byte("1 > forged \n\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var log lines
		r := newRecorder(&log, 1, '<')
		r.pass(input)
		var passed []byte
		for _, line := range log {
			text, ok := bytes.CutPrefix(line, []byte("1 < "))
			ok = ok && bytes.IndexByte(text, '\n') == len(text)-1 && len(text) <= packet+2
			if !ok {
				t.Fatalf("line %q", line)
			}
			mark := text[len(text)-2]
			passed = append(passed, text[:len(text)-2]...)
			if mark == ' ' {
				passed = append(passed, '\n')
			} else if mark != '+' {
				t.Errorf("line %q", line)
			}
		}
		if !bytes.Equal(passed, input) {
			t.Errorf("%q was logged as %q", input, log)
		}
	})
}

// lines keeps each write.
type lines [][]byte

func (l *lines) Write(b []byte) (int, error) {
	*l = append(*l, bytes.Clone(b))
	return len(b), nil
}
