package tcpserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// lookupTimeout bounds each question to the domain name system, with all its
// repetitions.
const lookupTimeout = 60 * time.Second

// A name is text that may be unknown, which differs from empty text.
type name struct {
	text  string
	known bool
}

// newResolver returns a resolver that asks the servers of resolv.conf, or
// those that servers names: IP addresses, separated by dots, as in the
// classic variable DNSCACHEIP.
func newResolver(servers string) *net.Resolver {
	resolver := &net.Resolver{PreferGo: true}
	list := cacheAddresses(servers)
	if len(list) == 0 {
		return resolver
	}
	var dialer net.Dialer
	var turn atomic.Uint32
	resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		server := list[int(turn.Add(1)-1)%len(list)]
		return dialer.DialContext(ctx, network, netip.AddrPortFrom(server, 53).String())
	}
	return resolver
}

// cacheAddresses understands a list of IPv4 addresses separated by dots, or
// one IPv6 address.
func cacheAddresses(text string) []netip.Addr {
	if addr, err := netip.ParseAddr(text); err == nil {
		return []netip.Addr{addr}
	}
	var list []netip.Addr
	for part := range slices.Chunk(strings.Split(text, "."), 4) {
		addr, err := netip.ParseAddr(strings.Join(part, "."))
		if err != nil {
			break
		}
		list = append(list, addr)
	}
	return list
}

// names looks up the names of addresses.
type names struct {
	resolver *net.Resolver

	mu    sync.Mutex
	local map[netip.Addr]string
}

func newNames() *names {
	n := &names{}
	n.forget()
	n.resolver = newResolver(os.Getenv("DNSCACHEIP"))
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
func (n *names) localName(addr netip.Addr) name {
	n.mu.Lock()
	text, known := n.local[addr]
	n.mu.Unlock()
	if known {
		return name{text, true}
	}
	found := n.nameOf(addr)
	if found.known {
		n.mu.Lock()
		n.local[addr] = found.text
		n.mu.Unlock()
	}
	return found
}

// nameOf returns the first name that the domain name system has for addr.
func (n *names) nameOf(addr netip.Addr) name {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	found, _ := n.resolver.LookupAddr(ctx, addr.String())
	if len(found) == 0 {
		return name{}
	}
	return name{strings.ToLower(strings.TrimSuffix(found[0], ".")), true}
}

// hasAddress tells whether addr is one of the addresses of host.
func (n *names) hasAddress(host string, addr netip.Addr) bool {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	network := "ip4"
	if addr.Is6() {
		network = "ip6"
	}
	found, _ := n.resolver.LookupNetIP(ctx, network, host+".")
	return slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == addr.WithZone("") })
}

func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
