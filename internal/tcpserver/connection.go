package tcpserver

import (
	"errors"
	"io/fs"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/inet"
	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/ucspi"
)

// A connection is an accepted one, and what is learnt about it before it is
// served.
type connection struct {
	fd     int
	id     int    // stands in the log where no process does
	number uint64 // how many connections of the client there were, with this one

	local, remote     netip.AddrPort
	localIP, remoteIP string // as in the environment: without a zone

	localHost, remoteHost, info inet.Name
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
	set := func(suffix string, value inet.Name) {
		if !value.Known {
			return
		}
		env.Set("TCP"+suffix, value.Text)
		if ipv6 {
			env.Set("TCP6"+suffix, value.Text)
		}
	}
	set("LOCALIP", inet.Name{Text: c.localIP, Known: true})
	set("LOCALPORT", inet.Name{Text: strconv.Itoa(int(c.local.Port())), Known: true})
	set("LOCALHOST", c.localHost)
	set("REMOTEIP", inet.Name{Text: c.remoteIP, Known: true})
	set("REMOTEPORT", inet.Name{Text: strconv.Itoa(int(c.remote.Port())), Known: true})
	set("REMOTEHOST", c.remoteHost)
	set("REMOTEINFO", c.info)
}

// admit greets the peer, learns who it is and asks the rules. It returns the
// environment to serve the connection in, or a denial, or the failure for
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
	c.local = inet.AddrPort(local)
	c.localIP = c.local.Addr().WithZone("").String()

	if s.localNameGiven {
		c.localHost = inet.Name{Text: s.localName, Known: true}
	} else {
		c.localHost = s.names.localName(c.local.Addr())
	}
	if s.lookUpRemote {
		c.remoteHost = s.names.nameOf(c.remote.Addr())
		if s.paranoid && c.remoteHost.Known && !s.names.hasAddress(c.remoteHost.Text, c.remote.Addr()) {
			c.remoteHost = inet.Name{}
		}
	}
	if s.ident {
		c.info = inet.Ident(c.local, c.remote, inet.IdentPort, s.identTimeout)
	}
	env := ucspi.NewEnv(s.environ)
	c.setVariables(env)
	terms := s.terms
	if err := s.judge(c, env, &terms); err != nil {
		return nil, err
	}
	return env, s.hold(c, &terms)
}

// judge asks the rules about a connection and sets their variables in env and
// t.
func (s *server) judge(c *connection, env *ucspi.Env, t *terms) error {
	if s.rulesFile == nil {
		return nil
	}
	peer := rules.Peer{
		IP:   c.remoteIP,
		Host: c.remoteHost.Text, HostKnown: c.remoteHost.Known,
		Info: c.info.Text, InfoKnown: c.info.Known,
	}
	deny, err := s.rulesFile.Lookup(peer, func(name, value []byte) {
		env.Set(string(name), string(value))
		t.set(name, value)
	})
	switch {
	case err != nil && s.rulesOptional && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &failure{"unable to read " + s.rules, err}
	case deny:
		return &denial{message: t.message}
	}
	return nil
}
