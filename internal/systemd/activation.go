// Package systemd talks to systemd without its bus: sockets handed over at
// the start, and notifications. Only this package and those below it import
// go-systemd.
package systemd

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// A Socket is a listening stream socket that was handed over.
type Socket struct {
	File *os.File // close-on-exec
	Name string   // its FileDescriptorName=, or empty
}

// ErrOtherProcess says that sockets were handed over, but to another process:
// to a shell that did not exec this program.
var ErrOtherProcess = errors.New("sockets were handed to another process: run must exec its program")

// Sockets returns the listening stream sockets that systemd handed to this
// process, in order; none where there are none. Other descriptors that were
// handed over are closed. It removes the variables of socket activation from
// the environment, so it works once.
func Sockets() ([]Socket, error) {
	pid := os.Getenv("LISTEN_PID")
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	files := activation.Files(true)
	if len(files) == 0 {
		if pid != "" && pid != strconv.Itoa(os.Getpid()) {
			return nil, ErrOtherProcess
		}
		return nil, nil
	}
	var sockets []Socket
	for i, file := range files {
		if !isListeningStream(int(file.Fd())) {
			file.Close()
			continue
		}
		name := ""
		if i < len(names) {
			name = names[i]
		}
		sockets = append(sockets, Socket{file, name})
	}
	return sockets, nil
}

func isListeningStream(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listening == 1
}
