package inet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lookupTimeout bounds each question to the domain name system, with all its
// repetitions.
const lookupTimeout = 60 * time.Second

// A Name is text that may be unknown, which differs from empty text.
type Name struct {
	Text  string
	Known bool
}

// NewResolver returns a resolver that asks the servers of resolv.conf, or
// those that the variable DNSCACHEIP names: IP addresses, separated by dots.
func NewResolver() *net.Resolver {
	resolver := &net.Resolver{PreferGo: true}
	list := cacheAddresses(os.Getenv("DNSCACHEIP"))
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

// NameOf returns the first name that the domain name system has for addr, in
// lower case and without the final dot; empty where it has none. An error
// says that it could not be asked.
func NameOf(resolver *net.Resolver, addr netip.Addr) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	found, err := resolver.LookupAddr(ctx, addr.String())
	if len(found) > 0 {
		return strings.ToLower(strings.TrimSuffix(found[0], ".")), nil
	}
	return "", lookupError(err)
}

// AddressesOf returns the addresses of host, of the kind "ip4", "ip6" or "ip"
// for both. None is no error.
func AddressesOf(resolver *net.Resolver, kind, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	found, err := resolver.LookupNetIP(ctx, kind, host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, lookupError(err)
}

// lookupError is the error of a question to the domain name system in the
// words of the classic programs, whose resolvers know few; that there is no
// such name, or nothing of the kind, is none.
func lookupError(err error) error {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return err
	case dns.IsNotFound:
		return nil
	case dns.IsTimeout:
		return unix.ETIMEDOUT
	}
	return unix.EAGAIN
}
