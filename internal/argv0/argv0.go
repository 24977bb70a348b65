// Package argv0 is the command argv0, which runs a program under another name
// than that of its file.
package argv0

import (
	"os"

	"qmail-smtpd/internal/command"
)

// Main runs the program args[1] with the arguments args[2:], the first of
// which is the name by which it is called.
func Main(args []string) int {
	if len(args) < 3 {
		return command.Usage("argv0", "argv0 realname program [ arg ... ]")
	}
	err := command.ExecAs(args[1], args[2:], os.Environ())
	return command.Fatal("argv0", "unable to run "+args[1], err)
}
