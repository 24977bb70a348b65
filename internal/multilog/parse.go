package multilog

import (
	"math"
	"strings"
	"time"

	"qmail-smtpd/internal/command"
)

// What an action does; the first byte of its word says which it is.
type actionKind int

const (
	selectLines   actionKind = iota // +PATTERN
	deselectLines                   // -PATTERN
	toStderr                        // e
	toStatusFile                    // =FILE
	toLogDir                        // a directory
)

// action is one action of a script, with the settings that hold for it.
type action struct {
	kind actionKind
	text string // the pattern, the file, the directory
	settings
}

// settings are what the actions s, S, n, !, A, F and Z set for the log
// directories that follow. Those of capital letters are not classic.
type settings struct {
	size      int           // bytes that a log may hold
	count     int           // logs of a directory, current included
	processor *string       // a command for sh; nil: none
	age       time.Duration // a log with lines is not written for longer; 0: for ever
	sync      bool          // what is written is brought to disk at once
	compress  bool          // logs that are done are compressed
}

// A stamp says what is put in front of each line.
type stamp int

const (
	noStamp stamp = iota
	labelStamp
	timeStamp // local time, as tai64nlocal writes it
)

// The limits of the actions s and n.
const (
	defaultSize  = 99999
	minSize      = 4096
	maxSize      = 16777215
	defaultCount = 10
	minCount     = 2
	maxAge       = 1 << 32 // seconds
)

// plan is a script as it was read.
type plan struct {
	stamp   stamp
	actions []action
}

// parse reads a script, one action a word. There is no wrong script: words
// that are no action are passed over.
func parse(words []string) plan {
	var p plan
	now := settings{size: defaultSize, count: defaultCount}
	add := func(kind actionKind, text string) {
		p.actions = append(p.actions, action{kind, text, now})
	}
	for i, word := range words {
		if word == "" {
			continue
		}
		rest := word[1:]
		switch word[0] {
		case 't':
			if i == 0 {
				p.stamp = labelStamp
			}
		case 'T':
			if i == 0 && rest == "" {
				p.stamp = timeStamp
			}
		case '+':
			add(selectLines, rest)
		case '-':
			add(deselectLines, rest)
		case 'e':
			add(toStderr, "")
		case '=':
			add(toStatusFile, rest)
		case 's':
			now.size = number(rest, minSize, maxSize)
		case 'n':
			now.count = number(rest, minCount, math.MaxInt)
		case '!':
			processor := strings.Clone(rest)
			now.processor = &processor
		case 'S':
			if isNumber(rest) {
				now.size = number(rest, minSize, math.MaxInt)
			}
		case 'A':
			if isNumber(rest) {
				now.age = time.Duration(number(rest, 0, maxAge)) * time.Second
			}
		case 'F':
			now.sync = now.sync || rest == ""
		case 'Z':
			now.compress = now.compress || rest == ""
		case '.', '/':
			add(toLogDir, word)
		}
	}
	return p
}

// isNumber tells whether text is a decimal number. The words of the actions
// that are not classic are passed over where they are not just so, because
// the classic program passes over all of them.
func isNumber(text string) bool {
	_, taken := command.ScanNumber(text)
	return taken > 0 && taken == len(text)
}

func number(text string, low, high int) int {
	n, _ := command.ScanNumber(text)
	if n > uint64(high) {
		return high
	}
	return max(int(n), low)
}
