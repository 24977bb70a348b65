package svcompat

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Svc sends control letters to services.
func Svc(args []string) int {
	const name = "svc"
	options := command.NewGetopt(args, "udopchaitkx")
	var letters []byte
	for {
		option, _, ok := options.Next()
		if !ok {
			break
		}
		if option == "?" {
			os.Stderr.WriteString("svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n")
			return command.ExitUsage
		}
		if !strings.Contains(string(letters), option) {
			letters = append(letters, option...)
		}
	}
	here, err := openHere()
	if err != nil {
		return command.Fatal(name, "unable to open current directory", err)
	}
	for _, dir := range options.Rest() {
		if what, err := control(dir, letters); what != "" {
			command.Warning(name, what, err)
		}
		if err := unix.Fchdir(here); err != nil {
			return command.Fatal(name, "unable to set directory", err)
		}
	}
	return 0
}

// openHere opens the current directory to come back to.
func openHere() (int, error) {
	return unix.Open(".", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// control writes letters to the service directory dir and leaves the process
// in that directory. It returns what failed and why, or nothing.
func control(dir string, letters []byte) (what string, why error) {
	if err := unix.Chdir(dir); err != nil {
		return "unable to chdir to " + dir, err
	}
	fd, err := openEnd("supervise/control", unix.O_WRONLY)
	if err == unix.ENXIO {
		return "unable to control " + dir + ": supervise not running", nil
	}
	if err != nil {
		return "unable to control " + dir, err
	}
	defer unix.Close(fd)
	unix.SetNonblock(fd, false)
	for len(letters) > 0 {
		n, err := unix.Write(fd, letters)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "error writing commands to " + dir, err
		}
		letters = letters[n:]
	}
	return "", nil
}
