package svcompat

import (
	"os"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Setlock runs a program that holds a lock on a file.
func Setlock(args []string) int {
	const name = "setlock"
	options := command.NewGetopt(args, "nNxX")
	how, silent := unix.LOCK_EX, false
	for {
		option, _, ok := options.Next()
		if !ok {
			break
		}
		switch option {
		case "n":
			how = unix.LOCK_EX | unix.LOCK_NB
		case "N":
			how = unix.LOCK_EX
		case "x":
			silent = true
		case "X":
			silent = false
		default:
			return setlockUsage()
		}
	}
	rest := options.Rest()
	if len(rest) < 2 {
		return setlockUsage()
	}
	fail := func(what string, err error) int {
		if silent {
			return 0
		}
		return command.Fatal(name, what, err)
	}
	file, child := rest[0], rest[1:]
	// The program inherits the descriptor, and with it the lock.
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return fail("unable to open "+file, err)
	}
	err = unix.Flock(fd, how)
	for err == unix.EINTR {
		err = unix.Flock(fd, how)
	}
	if err != nil {
		return fail("unable to lock "+file, err)
	}
	err = command.Exec(child, os.Environ())
	return command.Fatal(name, "unable to run "+child[0], err)
}

func setlockUsage() int {
	return command.Usage("setlock", "setlock [ -nNxX ] file program [ arg ... ]")
}
