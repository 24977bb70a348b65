package tcpserver

import (
	"net"
	"net/netip"

	"qmail-smtpd/internal/inet"
)

// hostAddress understands a host: a literal address, or a name, of which the
// first IPv4 address counts, or the first of all where there is none.
func hostAddress(resolver *net.Resolver, host string) (netip.Addr, error) {
	if addr, ok := inet.Literal(host); ok {
		return addr, nil
	}
	addrs, err := inet.AddressesOf(resolver, "ip", host)
	if err != nil {
		return netip.Addr{}, &failure{"temporarily unable to figure out IP address for " + host, err}
	}
	for _, addr := range addrs {
		if addr.Is4() {
			return addr, nil
		}
	}
	if len(addrs) > 0 {
		return addrs[0], nil
	}
	return netip.Addr{}, &failure{"no IP address for " + host, nil}
}
