package qmailsmtpd

import (
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/ucspi"
)

// Main is the command qmail-smtpd: it serves the client on descriptors 0 and
// 1, and looks at no argument.
func Main(args []string) int {
	signal.Ignore(unix.SIGPIPE)
	var log io.Writer = os.Stderr
	if reachesClient(2) {
		log = io.Discard
	}
	s := newServer(control.Home(), log)
	return s.serve(&stdio{}, ucspi.NewEnv(os.Environ()), os.Getpid())
}

// reachesClient tells whether what is written to fd goes where replies go:
// descriptor 1 is the same socket or pipe.
func reachesClient(fd int) bool {
	var a, b unix.Stat_t
	if unix.Fstat(fd, &a) != nil || unix.Fstat(1, &b) != nil {
		return false
	}
	kind := a.Mode & unix.S_IFMT
	return (kind == unix.S_IFSOCK || kind == unix.S_IFIFO) && a.Dev == b.Dev && a.Ino == b.Ino
}
