package tcpserver

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"qmail-smtpd/internal/inet"
)

// names looks up the names of addresses.
type names struct {
	resolver *net.Resolver

	mu    sync.Mutex
	local map[netip.Addr]string
}

func newNames() *names {
	n := &names{resolver: inet.NewResolver()}
	n.forget()
	return n
}

// forget drops what was learnt about local addresses.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.local = map[netip.Addr]string{}
}

// localName is nameOf for an address of this machine, which is asked for
// again and again.
func (n *names) localName(addr netip.Addr) inet.Name {
	n.mu.Lock()
	text, known := n.local[addr]
	n.mu.Unlock()
	if known {
		return inet.Name{Text: text, Known: true}
	}
	found := n.nameOf(addr)
	if found.Known {
		n.mu.Lock()
		n.local[addr] = found.Text
		n.mu.Unlock()
	}
	return found
}

// nameOf returns the first name that the domain name system has for addr.
func (n *names) nameOf(addr netip.Addr) inet.Name {
	text, _ := inet.NameOf(n.resolver, addr)
	return inet.Name{Text: text, Known: text != ""}
}

// hasAddress tells whether addr is one of the addresses of host.
func (n *names) hasAddress(host string, addr netip.Addr) bool {
	kind := "ip4"
	if addr.Is6() {
		kind = "ip6"
	}
	found, _ := inet.AddressesOf(n.resolver, kind, host+".")
	return slices.Contains(found, addr.WithZone(""))
}
