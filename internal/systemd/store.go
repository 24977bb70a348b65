package systemd

import (
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// StoredFiles returns the files that an earlier process of this service left
// with the service manager by Store, under their names; they are
// close-on-exec. It removes the variables of socket activation from the
// environment, so it works once.
func StoredFiles() map[string]*os.File {
	stored := map[string]*os.File{}
	for _, file := range activation.Files(true) {
		stored[file.Name()] = file
	}
	return stored
}

// Store leaves a duplicate of fd with the service manager, for the processes
// of this service that come later. Where there is no service manager it does
// nothing. A name has no colon; storing another file under it adds to what is
// there, so Forget comes first.
func Store(name string, fd int) error {
	return notifyWith(unix.UnixRights(fd), "FDSTORE=1\nFDNAME="+name)
}

// Forget removes what Store left under name.
func Forget(name string) error {
	return Notify("FDSTOREREMOVE=1", "FDNAME="+name)
}

func notifyWith(rights []byte, state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendmsg(fd, []byte(state), rights, &unix.SockaddrUnix{Name: path}, 0)
}
