package inet

import (
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Port understands a port: a number, of which the low 16 bits count, or the
// name of a TCP service.
func Port(text string) (_ uint16, ok bool) {
	if n, taken := command.ScanNumber(text); taken == len(text) {
		return uint16(n), true
	}
	port, err := net.LookupPort("tcp", text)
	if err != nil || strings.Trim(text, " \t\n+-") != text { // it takes signs and blanks
		return 0, false
	}
	return uint16(port), true
}

// Literal understands a host that needs no lookup: an IP address, IPv6 with
// or without brackets, and empty or "0" for all of IPv4.
func Literal(host string) (_ netip.Addr, ok bool) {
	if host == "" || host == "0" {
		return netip.IPv4Unspecified(), true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			host = inner
		}
	}
	addr, err := netip.ParseAddr(host)
	return addr.Unmap(), err == nil
}

// Sockaddr is the address for the kernel.
func Sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	to := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if n, taken := command.ScanNumber(zone); taken == len(zone) {
			to.ZoneId = uint32(n)
		} else if link, err := net.InterfaceByName(zone); err == nil {
			to.ZoneId = uint32(link.Index)
		}
	}
	return to
}

// AddrPort is the address from the kernel: an IPv4 address that is mapped
// into IPv6 is an IPv4 address, and the zone of a link-local address is the
// name of its interface. What is no address of the internet is the zero value.
func AddrPort(from unix.Sockaddr) netip.AddrPort {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(from.Addr)
		if addr.Is4In6() {
			return netip.AddrPortFrom(addr.Unmap(), uint16(from.Port))
		}
		if from.ZoneId != 0 {
			if link, err := net.InterfaceByIndex(int(from.ZoneId)); err == nil {
				addr = addr.WithZone(link.Name)
			}
		}
		return netip.AddrPortFrom(addr, uint16(from.Port))
	}
	return netip.AddrPort{}
}
