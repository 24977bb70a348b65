package tcpserver

import (
	"errors"
	"io/fs"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/ucspi"
)

// A connection is an accepted one, and what is learnt about it before it is
// served.
type connection struct {
	fd int
	id int // stands in the log where no process does

	local, remote     netip.AddrPort
	localIP, remoteIP string // as in the environment: without a zone

	localHost, remoteHost, info name
}

func newConnection(fd, id int, remote netip.AddrPort) *connection {
	return &connection{fd: fd, id: id, remote: remote, remoteIP: remote.Addr().WithZone("").String()}
}

// variables are those that a server sets. One that is unknown must not be
// inherited from the server's own environment.
var variables = []string{
	"PROTO",
	"TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST",
	"TCPREMOTEIP", "TCPREMOTEPORT", "TCPREMOTEHOST", "TCPREMOTEINFO",
	"TCP6LOCALIP", "TCP6LOCALPORT", "TCP6LOCALHOST",
	"TCP6REMOTEIP", "TCP6REMOTEPORT", "TCP6REMOTEHOST", "TCP6REMOTEINFO",
	"TCP6INTERFACE",
}

// setVariables puts what is known about the connection into env.
func (c *connection) setVariables(env *ucspi.Env) {
	ipv6 := c.remote.Addr().Is6()
	if ipv6 {
		env.Set("PROTO", "TCP6")
		if zone := c.remote.Addr().Zone(); zone != "" {
			env.Set("TCP6INTERFACE", zone)
		}
	} else {
		env.Set("PROTO", "TCP")
	}
	set := func(suffix string, value name) {
		if !value.known {
			return
		}
		env.Set("TCP"+suffix, value.text)
		if ipv6 {
			env.Set("TCP6"+suffix, value.text)
		}
	}
	set("LOCALIP", name{c.localIP, true})
	set("LOCALPORT", name{strconv.Itoa(int(c.local.Port())), true})
	set("LOCALHOST", c.localHost)
	set("REMOTEIP", name{c.remoteIP, true})
	set("REMOTEPORT", name{strconv.Itoa(int(c.remote.Port())), true})
	set("REMOTEHOST", c.remoteHost)
	set("REMOTEINFO", c.info)
}

// errDenied says that the rules deny a connection.
var errDenied = errors.New("denied")

// admit greets the peer, learns who it is and asks the rules. It returns the
// environment to serve the connection in, or errDenied, or the failure for
// which the connection is dropped.
func (s *server) admit(c *connection) (*ucspi.Env, error) {
	if !s.keepIPOptions && c.remote.Addr().Is4() {
		// An option such as a source route would let a peer pass for another.
		unix.SetsockoptString(c.fd, unix.IPPROTO_IP, unix.IP_OPTIONS, "")
	}
	if s.banner != "" {
		if err := writeAll(c.fd, []byte(s.banner)); err != nil {
			return nil, &failure{"unable to print banner", err}
		}
	}
	local, err := unix.Getsockname(c.fd)
	if err != nil {
		return nil, &failure{"unable to get local address", err}
	}
	c.local = addrPort(local)
	c.localIP = c.local.Addr().WithZone("").String()

	if s.localNameGiven {
		c.localHost = name{s.localName, true}
	} else {
		c.localHost = s.names.localName(c.local.Addr())
	}
	if s.lookUpRemote {
		c.remoteHost = s.names.nameOf(c.remote.Addr())
		if s.paranoid && c.remoteHost.known && !s.names.hasAddress(c.remoteHost.text, c.remote.Addr()) {
			c.remoteHost = name{}
		}
	}
	if s.ident {
		c.info = ident(c.local, c.remote, identPort, s.identTimeout)
	}
	env := ucspi.NewEnv(s.environ)
	c.setVariables(env)
	return env, s.judge(c, env)
}

// identPort is the port of the ident service (RFC 1413).
const identPort = 113

// judge asks the rules about a connection and sets their variables in env.
func (s *server) judge(c *connection, env *ucspi.Env) error {
	if s.rulesFile == nil {
		return nil
	}
	peer := rules.Peer{
		IP:   c.remoteIP,
		Host: c.remoteHost.text, HostKnown: c.remoteHost.known,
		Info: c.info.text, InfoKnown: c.info.known,
	}
	deny, err := s.rulesFile.Lookup(peer, func(name, value []byte) {
		env.Set(string(name), string(value))
	})
	switch {
	case err != nil && s.rulesOptional && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &failure{"unable to read " + s.rules, err}
	case deny:
		return errDenied
	}
	return nil
}
