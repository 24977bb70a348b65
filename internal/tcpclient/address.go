package tcpclient

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"

	"qmail-smtpd/internal/inet"
)

// addresses returns the addresses of host in the order in which they are to
// be tried: those of a literal as it has them, those of a name in any order.
// IPv6 addresses of a name count where it has no others, or where the
// connection is to come from one.
func addresses(resolver *net.Resolver, host string, local netip.Addr) ([]netip.Addr, error) {
	if host == "" || host == "0" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	if list, ok := dottedAddresses(host); ok {
		return list, nil
	}
	if addr, ok := inet.Literal(host); ok {
		return []netip.Addr{addr}, nil
	}
	kinds := []string{"ip4", "ip6"}
	if local.Is6() {
		kinds = kinds[1:]
	}
	for _, kind := range kinds {
		list, err := inet.AddressesOf(resolver, kind, host)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			return list, nil
		}
	}
	return nil, nil
}

// dottedAddresses understands what the classic programs take for IPv4
// addresses and do not look up: numbers between dots, of which each four are
// an address, numbers that are left over none, and brackets nothing. ok is
// false for any other host.
func dottedAddresses(host string) (list []netip.Addr, ok bool) {
	var numbers []byte
	var number byte
	for i := range len(host) {
		switch c := host[i]; {
		case c == '.':
			numbers = append(numbers, number)
			number = 0
		case c == '[' || c == ']':
		case c >= '0' && c <= '9':
			number = number*10 + c - '0'
		default:
			return nil, false
		}
	}
	numbers = append(numbers, number)
	for four := range slices.Chunk(numbers, 4) {
		if len(four) == 4 {
			list = append(list, netip.AddrFrom4([4]byte(four)))
		}
	}
	return list, true
}
