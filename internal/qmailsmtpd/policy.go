package qmailsmtpd

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/control"
)

// A policy is the control files of one session, and the addresses of this
// host.
type policy struct {
	*control.Config
	server  *server
	localIP string // TCPLOCALIP
}

// AcceptsRecipient implements smtp.Policy.
func (p *policy) AcceptsRecipient(address string) (bool, error) {
	accepted, err := p.Config.AcceptsRecipient(address)
	if err != nil {
		p.server.unreadable(err)
	}
	return accepted, err
}

// LocalName implements smtp.Policy. The address that the client connected to
// is local even where a sandbox hides the interface that has it.
func (p *policy) LocalName(ip [4]byte) (name string, ok bool, err error) {
	if !p.HasLocalIPHost {
		return "", false, nil
	}
	address := netip.AddrFrom4(ip)
	if connected, err := netip.ParseAddr(p.localIP); err == nil && connected.Unmap() == address {
		return p.LocalIPHost, true, nil
	}
	local, err := p.server.addresses.have(address)
	if err != nil {
		p.server.warn("unable to figure out the addresses of this host", err)
	}
	return p.LocalIPHost, local, err
}

// interfaces knows the addresses of this host. It asks for them only when
// one is looked for, and not again for a while.
type interfaces struct {
	mu    sync.Mutex
	known map[netip.Addr]bool
	at    time.Time
}

// addressesKept is how long the addresses of this host are taken to stay.
const addressesKept = 5 * time.Second

// have tells whether address is one of this host's; 0.0.0.0 is.
func (i *interfaces) have(address netip.Addr) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if time.Since(i.at) > addressesKept {
		networks, err := net.InterfaceAddrs()
		if err != nil && !forbidden(err) {
			return false, err
		}
		i.known = map[netip.Addr]bool{
			netip.IPv4Unspecified():                true,
			netip.AddrFrom4([4]byte{127, 0, 0, 1}): true,
		}
		for _, network := range networks {
			if prefix, err := netip.ParsePrefix(network.String()); err == nil {
				i.known[prefix.Addr()] = true
			}
		}
		i.at = time.Now()
	}
	return i.known[address], nil
}

// forbidden tells whether err is a sandbox that keeps this process from
// looking at interfaces. Then the addresses that every host has must do,
// beside the one that the client connected to.
func forbidden(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}
