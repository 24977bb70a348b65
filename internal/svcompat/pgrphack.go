package svcompat

import (
	"os"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Pgrphack runs a program in a session, and so a process group, of its own.
func Pgrphack(args []string) int {
	const name = "pgrphack"
	if len(args) < 2 {
		return command.Usage(name, "pgrphack child")
	}
	unix.Setsid() // fails for the leader of a group, which needs none
	err := command.Exec(args[1:], os.Environ())
	return command.Fatal(name, "unable to run "+args[1], err)
}
