package svcompat

import (
	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Svok tells by its exit code whether a service directory is supervised: 0 or
// 100.
func Svok(args []string) int {
	const name = "svok"
	if len(args) < 2 {
		return command.Usage(name, "svok dir")
	}
	dir := args[1]
	if err := unix.Chdir(dir); err != nil {
		return command.Fatal(name, "unable to chdir to "+dir, err)
	}
	switch _, err := openEnd("supervise/ok", unix.O_WRONLY); err {
	case nil:
		return 0
	case unix.ENOENT, unix.ENXIO:
		return command.ExitUsage
	default:
		return command.Fatal(name, "unable to open "+dir+"/supervise/ok", err)
	}
}
