package generator

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/units"
)

// warn says what is wrong where an administrator finds it. systemd leaves a
// generator no useful standard error, and the journal does not run yet when
// the machine boots; the kernel's log does.
func warn(text string) {
	line := name + ": warning: " + units.Printable(text)
	os.Stderr.WriteString(line + "\n")
	if os.Getenv("SYSTEMD_SCOPE") == "" {
		return // not called by systemd
	}
	if toJournal(line) != nil {
		toKernel(line)
	}
}

// toJournal sends a line by the journal's own protocol, without waiting.
func toJournal(line string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	fields := strings.Join([]string{"PRIORITY=4", "SYSLOG_IDENTIFIER=" + name, "MESSAGE=" + line, ""}, "\n")
	return unix.Sendto(fd, []byte(fields), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: "/run/systemd/journal/socket"})
}

// toKernel writes a line to the kernel's log, with the priority of a warning.
func toKernel(line string) {
	fd, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.Write(fd, []byte("<4>"+line))
}
