package tcpserver

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPortNumber(t *testing.T) {
	for text, want := range map[string]uint16{"": 0, "0": 0, "25": 25, "smtp": 25, "99999": 34463} {
		if got, err := portNumber(text); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"25x", "-1", "no such service", " 25"} {
		want := "unable to figure out port number for " + text
		if got, err := portNumber(text); err == nil || err.Error() != want {
			t.Errorf("%q: %d, %v; want %q", text, got, err, want)
		}
	}
}

func TestAddrPort(t *testing.T) {
	for _, test := range []struct {
		from unix.Sockaddr
		want string
	}{
		{&unix.SockaddrInet4{Port: 25, Addr: [4]byte{192, 0, 2, 1}}, "192.0.2.1:25"},
		{&unix.SockaddrInet6{Port: 25, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: 2, 15: 1}}, "192.0.2.1:25"},
		{&unix.SockaddrInet6{Port: 25, Addr: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}, "[2001:db8::1]:25"},
		{&unix.SockaddrInet6{Port: 25, Addr: [16]byte{0xfe, 0x80, 15: 1}, ZoneId: 1}, "[fe80::1%lo]:25"},
		{&unix.SockaddrUnix{Name: "/run/socket"}, "invalid AddrPort"},
	} {
		if got := addrPort(test.from); got.String() != test.want {
			t.Errorf("%v: %s, want %s", test.from, got, test.want)
		}
	}
}

// FuzzLiteralAddress checks that an address survives the kernel's form.
func FuzzLiteralAddress(f *testing.F) {
	for _, host := range []string{"", "0", "127.0.0.1", "::", "[::1]", "fe80::1%lo", "fe80::1%1", "[fe80::1%9999999999]", "::ffff:1.2.3.4", "mail", "[", "1.2.3"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		addr, ok := literalAddress(host)
		if !ok {
			return
		}
		want := netip.AddrPortFrom(addr.WithZone(""), 25)
		got := addrPort(sockaddr(netip.AddrPortFrom(addr, 25)))
		if got.Addr().WithZone("") != want.Addr() || got.Port() != 25 {
			t.Errorf("%q: %v became %v", host, want, got)
		}
	})
}
