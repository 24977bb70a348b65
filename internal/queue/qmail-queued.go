package queue

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/systemd"
)

const serviceName = "qmail-queued"

// ServiceMain is qmail-queued, the queue service: it takes messages over the
// sockets that systemd handed to it, or over HOME/qmail-queue.socket, which
// it then makes itself, and writes them to the queue. Started by root it goes
// on as the user and group that own HOME/queue. TERM stops it: it takes no
// more messages, and gives those that are coming in ten seconds.
func ServiceMain(args []string) int {
	if len(args) != 1 {
		return command.Usage(serviceName, "qmail-queued")
	}
	home := control.Home()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	signal.Ignore(unix.SIGHUP)
	// Otherwise a log reader that went away would end the service.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	unix.Umask(0o033)

	listeners, remove, err := openSockets(home)
	if err != nil {
		return command.Fatal(serviceName, "unable to listen on "+home+"/"+socketName, err)
	}
	defer remove()
	if err := becomeOwner(home); err != nil {
		return command.Fatal(serviceName, "unable to become the owner of "+home+"/queue", err)
	}
	switch err := writable(home); {
	case errors.Is(err, fs.ErrPermission):
		return command.Fatal(serviceName, "unable to write "+home+"/queue", err)
	case err != nil:
		command.Warning(serviceName, "unable to write "+home+"/queue, messages are refused", err)
	}

	s := newService(NewDisk(home), func(what string, err error) { command.Warning(serviceName, what, err) })
	for _, listener := range listeners {
		go s.accept(listener)
	}
	systemd.Notify(systemd.Ready)
	<-stop
	systemd.Notify(systemd.Stopping)
	s.stop(listeners)
	s.journal.stop(drainTime / 2)
	return 0
}

// openSockets returns the listening sockets, and what is to be called at the
// end.
func openSockets(home string) (listeners []net.Listener, remove func(), err error) {
	remove = func() {}
	handed, err := systemd.Sockets()
	if err != nil {
		return nil, nil, err
	}
	var files []*os.File
	for _, socket := range handed {
		files = append(files, socket.File)
	}
	if len(files) == 0 {
		file, release, err := bindSocket(home)
		if err != nil {
			return nil, nil, err
		}
		files, remove = append(files, file), release
	}
	for _, file := range files {
		listener, err := net.FileListener(file)
		file.Close()
		if err == nil && listener.Addr().Network() != "unix" {
			err = errors.New("the socket handed over is no unix socket but " + listener.Addr().String())
		}
		if err != nil {
			remove()
			return nil, nil, err
		}
		listeners = append(listeners, listener)
	}
	return listeners, remove, nil
}

// bindSocket makes HOME/qmail-queue.socket, in place of one that a dead
// service left, and keeps it for this process by a lock.
func bindSocket(home string) (socket *os.File, release func(), err error) {
	path := home + "/" + socketName
	lock, err := os.OpenFile(home+"/qmail-queue.lock", os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another process serves it")
		}
		return nil, nil, err
	}
	socket, err = listen(path)
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	return socket, func() {
		os.Remove(path)
		lock.Close()
	}, nil
}

// becomeOwner makes a process of root one of the queue's owner.
func becomeOwner(home string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(home + "/queue")
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid == 0 {
		return nil
	}
	if err := syscall.Setgroups([]int{int(owner.Gid)}); err != nil {
		return err
	}
	if err := syscall.Setgid(int(owner.Gid)); err != nil {
		return err
	}
	return syscall.Setuid(int(owner.Uid))
}

// writable tells why this process cannot make messages in the queue.
func writable(home string) error {
	for _, name := range []string{"pid", "mess", "intd", "todo"} {
		path := home + "/queue/" + name
		if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
			return &fs.PathError{Op: "access", Path: path, Err: err}
		}
	}
	return nil
}
