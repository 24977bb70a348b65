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
	if len(args) < 3 {
		return command.Usage(name, "tcprules rules.cdb rules.tmp")
	}
	path, tmp := args[1], args[2]
	w, err := cdb.Create(tmp)
	if err != nil {
		return command.Fatal(name, "unable to create "+tmp, err)
	}
	if err := Compile(os.Stdin, w.Add); err != nil {
		var syntax *SyntaxError
		switch {
		case errors.As(err, &syntax):
			line, _, _ := strings.Cut(syntax.Error(), "\x00")
			return command.Permanent(name, line, nil)
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
