package svscan

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/systemd"
	"qmail-smtpd/units"
)

// SvscanRun is for units of service directories whose ./run systemd cannot
// execute by itself: -d names the directory, encoded, where a unit file has
// no words for it; -n is the descriptor where ./run says that it is ready, as
// s6 has it: by a newline.
func SvscanRun(args []string) int {
	const name = "svscan-run"
	usage := func() int { return command.Usage(name, "svscan-run [ -d dir ] [ -n fd ]") }
	fd := 0
	options := command.NewGetopt(args, "d:n:")
	options.Long = []string{"await-newline"}
	for {
		option, argument, ok := options.Next()
		if !ok {
			break
		}
		switch option {
		case "d":
			if code := enter(name, argument); code != 0 {
				return code
			}
		case "n":
			n, err := strconv.Atoi(argument)
			if err != nil || n < 3 {
				return usage()
			}
			fd = n
		case "await-newline":
			awaitNewline()
			return 0
		default:
			return usage()
		}
	}
	if fd != 0 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			return command.Permanent(name, "descriptor "+strconv.Itoa(fd)+" of notification-fd is one of the service's sockets", nil)
		}
		if err := passReadiness(fd); err != nil {
			return command.Fatal(name, "unable to prepare notification-fd", err)
		}
	}
	return command.Fatal(name, "unable to start run", command.Exec([]string{"./run"}, os.Environ()))
}

// enter changes to a directory that units.EncodeWord wrote.
func enter(name, word string) (code int) {
	dir, err := units.DecodeWord(word)
	if err != nil {
		return command.Permanent(name, "unable to read "+word, err)
	}
	if err := unix.Chdir(dir); err != nil {
		return command.Fatal(name, "unable to chdir to "+units.Printable(dir), err)
	}
	return 0
}

// passReadiness makes the descriptor fd one that passes readiness on to
// systemd: it starts a process that waits at the other end. That one is a
// child of systemd's, like this one, so that ./run has no child that it does
// not know.
func passReadiness(fd int) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	waiter := []string{".svscan-run", "--await-newline"}
	if err := startBeside("/proc/self/exe", waiter, pipe[0], null, null); err != nil {
		return err
	}
	// fd may be the number of one of these
	writer, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD_CLOEXEC, fd+1)
	if err != nil {
		return err
	}
	return unix.Dup2(writer, fd)
}

// startBeside starts a program as a child of the parent of this process.
func startBeside(path string, args []string, files ...int) error {
	attr := &syscall.ProcAttr{
		Env: os.Environ(),
		Sys: &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_PARENT},
	}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	_, err := syscall.ForkExec(path, args, attr)
	return err
}

// awaitNewline tells systemd that the service is ready when its standard
// input has a newline. It gives up where that ends without one.
func awaitNewline() {
	unix.CloseRange(3, 1<<31-1, 0) // the sockets are not for this process
	b := make([]byte, 512)
	for {
		n, err := unix.Read(0, b)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return
		}
		if bytes.IndexByte(b[:n], '\n') >= 0 {
			break
		}
	}
	systemd.Notify(systemd.Ready)
	systemd.Barrier()
}
