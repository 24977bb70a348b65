package command

import (
	"os"
	"path"
)

// The exit codes of the classic programs.
const (
	ExitUsage     = 100 // wrong usage, or a permanent failure
	ExitTemporary = 111 // a system error; trying again may help
)

// Usage prints "NAME: usage: TEXT" on standard error and returns ExitUsage.
// TEXT is the synopsis alone, for example "svok dir".
func Usage(name, text string) int {
	say(name, "usage", text, nil)
	return ExitUsage
}

// Fatal prints "NAME: fatal: WHAT: WHY" on standard error, in one write, and
// returns ExitTemporary. Without err the line ends after WHAT.
func Fatal(name, what string, err error) int {
	say(name, "fatal", what, err)
	return ExitTemporary
}

// Permanent is Fatal for failures that trying again cannot mend: it returns
// ExitUsage.
func Permanent(name, what string, err error) int {
	say(name, "fatal", what, err)
	return ExitUsage
}

// Warning prints "NAME: warning: WHAT: WHY" on standard error, in one write.
// Without err the line ends after WHAT.
func Warning(name, what string, err error) {
	say(name, "warning", what, err)
}

func say(name, level, what string, err error) {
	line := name + ": " + level + ": " + what
	if err != nil {
		line += ": " + ErrText(err)
	}
	os.Stderr.WriteString(line + "\n")
}

// Base is the name that option complaints begin with: the base name of
// args[0].
func Base(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return path.Base(args[0])
}
