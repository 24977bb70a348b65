package tcpclient

import (
	"os"

	"qmail-smtpd/internal/inet"
)

// open connects to host and port for a command that needs no program and no
// names. ok is false when that failed, about which it has told in the words
// of tcpclient.
func open(host, port string) (network *os.File, ok bool) {
	o := &options{verbosity: errorsOnly, timeouts: connectionTimeouts, host: host, port: port}
	fd, ok := o.dial(inet.NewResolver())
	if !ok {
		return nil, false
	}
	return os.NewFile(uintptr(fd), "network"), true
}

// argument returns args[i], or otherwise where the command line has none.
func argument(args []string, i int, otherwise string) string {
	if i < len(args) {
		return args[i]
	}
	return otherwise
}
