package control

import (
	"strings"

	"qmail-smtpd/internal/command"
)

// A list is the entries of a control file, in lower case.
type list map[string]bool

// firstLine returns the first line of a control file, without the blanks at
// its end.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimRight(line, " \t\n")
}

// number returns the number that line begins with, or otherwise where it
// begins with none.
func number(line string, otherwise uint64) uint64 {
	if n, taken := command.ScanNumber(line); taken > 0 {
		return n
	}
	return otherwise
}

// entries returns the entries of a control file of one entry a line.
func entries(text string) list {
	l := list{}
	for entry := range eachEntry(text) {
		l[lower(entry)] = true
	}
	return l
}

// eachEntry yields the lines of text, without the blanks at their ends;
// empty lines, and those that begin with "#", are left out.
func eachEntry(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			var line string
			line, text, _ = strings.Cut(text, "\n")
			line = strings.TrimRight(line, " \t\n")
			if line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// lower returns text with its ASCII letters in lower case.
func lower(text string) string {
	for i := range len(text) {
		if text[i] < 'A' || text[i] > 'Z' {
			continue
		}
		b := []byte(text)
		for ; i < len(b); i++ {
			if b[i] >= 'A' && b[i] <= 'Z' {
				b[i] += 'a' - 'A'
			}
		}
		return string(b)
	}
	return text
}
