package tcpserver

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/inet"
)

// A listener is a listening socket, non-blocking.
type listener struct {
	file    *os.File
	raw     syscall.RawConn
	address netip.AddrPort
}

// listen binds a socket to host and port and listens on it. The unspecified
// address of IPv6 takes IPv4 as well.
func listen(host netip.Addr, port uint16, backlog int) (*listener, error) {
	family := unix.AF_INET
	if host.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, &failure{"unable to create socket", err}
	}
	if err := bindAndListen(fd, netip.AddrPortFrom(host, port), backlog); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return newListener(fd)
}

func bindAndListen(fd int, address netip.AddrPort, backlog int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return &failure{"unable to bind", err}
	}
	if address.Addr().Is6() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return &failure{"unable to bind", err}
		}
	}
	if err := unix.Bind(fd, inet.Sockaddr(address)); err != nil {
		return &failure{"unable to bind", err}
	}
	return failed("unable to listen", unix.Listen(fd, backlog))
}

// newListener takes over a listening socket. Its address is the zero value
// where it is no socket of the internet.
func newListener(fd int) (*listener, error) {
	name, err := unix.Getsockname(fd)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return nil, &failure{"unable to listen", err}
	}
	l := &listener{file: os.NewFile(uintptr(fd), "socket"), address: inet.AddrPort(name)}
	l.raw, err = l.file.SyscallConn()
	return l, failed("unable to listen", err)
}

// setNoDelay switches Nagle's algorithm off for the connections to come,
// which inherit it.
func (l *listener) setNoDelay() {
	l.raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	})
}

// close ends accepting, also one that waits. A socket that systemd handed
// over stays open there.
func (l *listener) close() { l.file.Close() }

// fits tells whether a socket with the address have is the one that a command
// line asks for: port, where that is not 0, at host, where that is known.
func fits(have netip.AddrPort, host netip.Addr, known bool, port uint16) bool {
	if port != 0 && have.Port() != port {
		return false
	}
	return !known || have.Addr() == host || have.Addr().IsUnspecified() && host.IsUnspecified()
}
