package multilog

import (
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// fatal is a failure to open what a script names: nothing was read yet.
type fatal struct {
	what string // "unable to ..."
	err  error
}

func (f fatal) Error() string { return f.what + ": " + command.ErrText(f.err) }

func (f fatal) Unwrap() error { return f.err }

// pause says what is wrong and waits before the next attempt. Nothing is read
// meanwhile, so that the writers of the input wait, too.
func pause(what string, err error) {
	command.Warning(name, what+", pausing", err)
	time.Sleep(5 * time.Second)
}

// persist calls try until it succeeds, with pauses.
func persist(what string, try func() error) {
	for {
		err := try()
		if err == nil {
			return
		}
		if err != unix.EINTR {
			pause(what, err)
		}
	}
}

// writeAll writes data to fd, with pauses until all of it is written.
func writeAll(fd int, data []byte, what string) {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == nil {
			data = data[n:]
		} else if err != unix.EINTR {
			pause(what, err)
		}
	}
}
