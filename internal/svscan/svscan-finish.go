package svscan

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/units"
)

// SvscanFinish is for units of service directories with a file finish: it
// executes ./finish with the arguments that s6 gives it, from what systemd
// tells of the end of ./run: the exit code, or 256 where a signal ended it;
// the number of the signal, or 0; the name of the service. The name and, with
// -d, the directory are encoded.
func SvscanFinish(args []string) int {
	const name = "svscan-finish"
	usage := func() int { return command.Usage(name, "svscan-finish [ -d dir ] service") }
	options := command.NewGetopt(args, "d:")
	for {
		option, argument, ok := options.Next()
		if !ok {
			break
		}
		if option != "d" {
			return usage()
		}
		if code := enter(name, argument); code != 0 {
			return code
		}
	}
	if len(options.Rest()) != 1 {
		return usage()
	}
	service, err := units.DecodeWord(options.Rest()[0])
	if err != nil {
		return usage()
	}
	code, signal := ended(os.Getenv("EXIT_CODE"), os.Getenv("EXIT_STATUS"))
	finish := []string{"./finish", strconv.Itoa(code), strconv.Itoa(signal), service}
	return command.Fatal(name, "unable to start finish", command.Exec(finish, os.Environ()))
}

// ended reads how systemd says that a process ended: "exited" and a number,
// or "killed" or "dumped" and the name of a signal without SIG.
func ended(how, status string) (code, signal int) {
	if how == "exited" {
		code, _ = strconv.Atoi(status)
		return code, 0
	}
	if n, ok := strings.CutPrefix(status, "RTMIN+"); ok {
		above, _ := strconv.Atoi(n)
		return 256, firstRealtime + above
	}
	return 256, int(unix.SignalNum("SIG" + status))
}

// firstRealtime is SIGRTMIN, as systemd counts.
const firstRealtime = 34
