package svcompat

import (
	"os"
	"strconv"

	"qmail-smtpd/internal/command"
)

// Envuidgid runs a program with the uid and gid of an account in UID and GID.
func Envuidgid(args []string) int {
	const name = "envuidgid"
	if len(args) < 3 {
		return command.Usage(name, "envuidgid account child")
	}
	to, ok := lookUp(args[1])
	if !ok {
		return command.Fatal(name, "unknown account "+args[1], nil)
	}
	env := command.ChangeEnv(os.Environ(),
		"GID="+strconv.FormatUint(uint64(to.gid), 10),
		"UID="+strconv.FormatUint(uint64(to.uid), 10))
	err := command.Exec(args[2:], env)
	return command.Fatal(name, "unable to run "+args[2], err)
}
