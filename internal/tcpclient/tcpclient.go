package tcpclient

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
)

// TCPClient connects to a server and runs a program that finds the connection
// at descriptors 6, to read, and 7, to write, and its ends in the environment.
func TCPClient(args []string) int {
	keepDescriptors()
	o, ok := parse(args)
	if !ok {
		return command.ExitUsage
	}
	resolver := inet.NewResolver()
	fd, ok := o.dial(resolver)
	if !ok {
		return command.ExitTemporary
	}
	if o.noDelay {
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return o.fatal("unable to get local address", err)
	}
	local := inet.AddrPort(name)
	if name, err = unix.Getpeername(fd); err != nil {
		return o.fatal("unable to get remote address", err)
	}
	remote := inet.AddrPort(name)
	if o.verbosity == everything {
		fmt.Fprintf(os.Stderr, "tcpclient: connected to %v port %d\n", remote.Addr(), remote.Port())
	}
	env := command.ChangeEnv(os.Environ(), o.variables(resolver, local, remote)...)
	for _, number := range []int{readDescriptor, writeDescriptor} {
		if err := unix.Dup3(fd, number, 0); err != nil {
			return o.fatal("unable to set up descriptor "+strconv.Itoa(number), err)
		}
	}
	err = command.Exec(o.program, env)
	return o.fatal("unable to run "+o.program[0], err)
}

// Where the program finds the connection.
const (
	readDescriptor  = 6
	writeDescriptor = 7
)

// keepDescriptors closes what was inherited at the descriptors of the
// connection, and keeps them for it: what the Go runtime had put there would
// be lost to it before the program runs.
func keepDescriptors() {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	for _, number := range []int{readDescriptor, writeDescriptor} {
		flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC != 0 {
			continue // not inherited: null, or the runtime's
		}
		unix.Dup3(null, number, unix.O_CLOEXEC)
	}
	if null != readDescriptor && null != writeDescriptor {
		unix.Close(null)
	}
}

// variables returns the changes to the environment that tell about the
// connection, in the classic order. A name is empty where there is none, and
// removed where it is not known.
func (o *options) variables(resolver *net.Resolver, local, remote netip.AddrPort) []string {
	localHost := inet.Name{Text: o.localName, Known: true}
	if !o.localNameGiven {
		localHost = nameOf(resolver, local.Addr())
	}
	var remoteHost, info inet.Name
	if o.lookUpRemote {
		remoteHost = nameOf(resolver, remote.Addr())
	}
	if o.ident {
		info = inet.Ident(local, remote, inet.IdentPort, o.identTimeout)
	}
	changes := []string{"PROTO=TCP"}
	add := func(prefix string) {
		changes = append(changes,
			prefix+"LOCALPORT="+strconv.Itoa(int(local.Port())),
			prefix+"LOCALIP="+local.Addr().WithZone("").String(),
			change(prefix+"LOCALHOST", localHost),
			prefix+"REMOTEPORT="+strconv.Itoa(int(remote.Port())),
			prefix+"REMOTEIP="+remote.Addr().WithZone("").String(),
			change(prefix+"REMOTEHOST", remoteHost),
			change(prefix+"REMOTEINFO", info))
	}
	add("TCP")
	if remote.Addr().Is6() {
		changes[0] = "PROTO=TCP6"
		zone := remote.Addr().Zone()
		changes = append(changes, change("TCP6INTERFACE", inet.Name{Text: zone, Known: zone != ""}))
		add("TCP6")
	}
	return changes
}

func nameOf(resolver *net.Resolver, addr netip.Addr) inet.Name {
	text, err := inet.NameOf(resolver, addr)
	return inet.Name{Text: text, Known: err == nil}
}

// change is the change to the environment that sets a variable, or removes it
// where its value is not known.
func change(variable string, value inet.Name) string {
	if !value.Known {
		return variable
	}
	return variable + "=" + value.Text
}
