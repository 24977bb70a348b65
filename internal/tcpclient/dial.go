package tcpclient

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
)

// fatal prints what ended the attempt, and why, unless nothing is to be
// printed, and returns the exit code.
func (o *options) fatal(what string, err error) int {
	if o.verbosity > nothing {
		command.Fatal("tcpclient", what, err)
	}
	return command.ExitTemporary
}

// dial connects to the host and port of o. It returns a socket in blocking
// mode; ok is false when there is none, about which it has told.
func (o *options) dial(resolver *net.Resolver) (fd int, ok bool) {
	port, ok := inet.Port(o.port)
	if !ok {
		o.fatal("unable to figure out port number for "+o.port, nil)
		return -1, false
	}
	hosts, err := addresses(resolver, o.host, o.localIP)
	switch {
	case err != nil:
		o.fatal("temporarily unable to figure out IP address for "+o.host, err)
		return -1, false
	case len(hosts) == 0:
		o.fatal("no IP address for "+o.host, nil)
		return -1, false
	}
	timeouts := o.timeouts
	if len(hosts) == 1 {
		timeouts = [2]time.Duration{timeouts[0] + timeouts[1], 0}
	}
	for round := range timeouts {
		var again []netip.Addr
		for _, host := range hosts {
			fd, what, err := o.try(netip.AddrPortFrom(host, port), timeouts[round])
			switch {
			case err == nil:
				return fd, true
			case what != "":
				o.fatal(what, err)
				return -1, false
			case err == unix.ETIMEDOUT && round == 0 && timeouts[1] > 0:
				again = append(again, host)
			case o.verbosity > nothing:
				fmt.Fprintf(os.Stderr, "tcpclient: unable to connect to %v port %d: %s\n", host, port, command.ErrText(err))
			}
		}
		hosts = again
	}
	return -1, false
}

// try makes one attempt. An error that another address would not mend comes
// with what failed.
func (o *options) try(to netip.AddrPort, timeout time.Duration) (fd int, what string, err error) {
	family := unix.AF_INET
	unspecified := netip.IPv4Unspecified()
	if to.Addr().Is6() {
		family = unix.AF_INET6
		unspecified = netip.IPv6Unspecified()
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "unable to create socket", err
	}
	if local := o.localIP; local.IsValid() || o.localPort != 0 {
		if !local.IsValid() {
			local = unspecified
		}
		if err := unix.Bind(fd, inet.Sockaddr(netip.AddrPortFrom(local, o.localPort))); err != nil {
			unix.Close(fd)
			return -1, "unable to bind socket", err
		}
	}
	if err := connect(fd, to, timeout); err != nil {
		unix.Close(fd)
		return -1, "", err
	}
	return fd, "", nil
}

// connect connects a non-blocking socket and makes it blocking.
func connect(fd int, to netip.AddrPort, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	err := unix.Connect(fd, inet.Sockaddr(to))
	if err == unix.EINPROGRESS || err == unix.EINTR {
		if err = awaitWritable(fd, deadline); err != nil {
			return err
		}
		var number int
		if number, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && number != 0 {
			err = unix.Errno(number)
		}
	}
	if err != nil {
		return err
	}
	return unix.SetNonblock(fd, false)
}

// awaitWritable returns ETIMEDOUT when nothing has happened at the deadline.
func awaitWritable(fd int, deadline time.Time) error {
	// A little longer than asked for: no time at all still suits the near.
	deadline = deadline.Add(20 * time.Millisecond)
	for {
		left := max(0, min(time.Until(deadline), time.Hour))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && err != unix.EINTR:
			return err
		case left == 0:
			return unix.ETIMEDOUT
		}
	}
}
