package rules

import (
	"errors"
	"os"
	"strings"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
)

// TCPRules is the command tcprules: it compiles the rules on standard input
// into a cdb, which takes the place of the old one when it is complete.
func TCPRules(args []string) int {
	const name = "tcprules"
	words, explain := cutExplain(args)
	if len(words) < 2 {
		return command.Usage(name, "tcprules rules.cdb rules.tmp")
	}
	path, tmp := words[0], words[1]
	w, err := cdb.Create(tmp)
	if err != nil {
		return command.Fatal(name, "unable to create "+tmp, err)
	}
	c := compiler{add: w.Add}
	if explain {
		c.warn = func(what string) {
			command.Warning(name, cString(c.source.String()+": "+what+": "+string(c.line)), nil)
		}
	}
	if err := c.compile(os.Stdin); err != nil {
		var syntax *SyntaxError
		var include *includeError
		switch {
		case errors.As(err, &syntax) && explain:
			return command.Permanent(name, cString(syntax.Source.String()+": "+syntax.Why+": "+syntax.Line), nil)
		case errors.As(err, &syntax):
			return command.Permanent(name, cString(syntax.Error()), nil)
		case errors.As(err, &include):
			return command.Fatal(name, "unable to read "+include.name, err)
		case errors.Is(err, errRead):
			return command.Fatal(name, errRead.Error(), err)
		}
		return command.Fatal(name, "unable to write to "+tmp, err)
	}
	if err := w.Close(); err != nil {
		return command.Fatal(name, "unable to write to "+tmp, err)
	}
	if err := cdb.Replace(tmp, path); err != nil {
		return command.Fatal(name, "unable to move "+tmp+" to "+path, err)
	}
	return 0
}

// cutExplain returns the words of a command line behind the name of the
// command, and whether --explain, the only option, was before them.
func cutExplain(args []string) (words []string, explain bool) {
	words = args[min(1, len(args)):]
	if len(words) > 0 && words[0] == "--explain" {
		return words[1:], true
	}
	return words, false
}

// cString is text up to its first NUL, which is all that the classic
// commands print of it.
func cString(text string) string {
	text, _, _ = strings.Cut(text, "\x00")
	return text
}
