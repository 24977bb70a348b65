package multilog

import (
	"strings"

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

// settings are what the actions s, n and ! set for the log directories that
// follow.
type settings struct {
	size      int     // bytes that a log may hold
	count     int     // logs of a directory, current included
	processor *string // a command for sh; nil: none
}

// The limits of the actions s and n.
const (
	defaultSize  = 99999
	minSize      = 4096
	maxSize      = 16777215
	defaultCount = 10
	minCount     = 2
)

// plan is a script as it was read.
type plan struct {
	timestamp bool
	actions   []action
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
			p.timestamp = p.timestamp || i == 0
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
			now.count = number(rest, minCount, int(^uint(0)>>1))
		case '!':
			processor := strings.Clone(rest)
			now.processor = &processor
		case '.', '/':
			add(toLogDir, word)
		}
	}
	return p
}

func number(text string, low, high int) int {
	n, _ := command.ScanNumber(text)
	if n > uint64(high) {
		return high
	}
	return max(int(n), low)
}
