package inet

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPort(t *testing.T) {
	for text, want := range map[string]uint16{"": 0, "0": 0, "25": 25, "smtp": 25, "99999": 34463} {
		if got, ok := Port(text); got != want || !ok {
			t.Errorf("%q: %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"25x", "-1", "no such service", " 25"} {
		if got, ok := Port(text); ok {
			t.Errorf("%q: %d", text, got)
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
		if got := AddrPort(test.from); got.String() != test.want {
			t.Errorf("%v: %s, want %s", test.from, got, test.want)
		}
	}
}

// FuzzLiteral checks that an address survives the kernel's form.
func FuzzLiteral(f *testing.F) {
	for _, host := range []string{"", "0", "127.0.0.1", "::", "[::1]", "fe80::1%lo", "fe80::1%1", "[fe80::1%9999999999]", "::ffff:1.2.3.4", "mail", "[", "1.2.3"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		addr, ok := Literal(host)
		if !ok {
			return
		}
		want := netip.AddrPortFrom(addr.WithZone(""), 25)
		got := AddrPort(Sockaddr(netip.AddrPortFrom(addr, 25)))
		if got.Addr().WithZone("") != want.Addr() || got.Port() != 25 {
			t.Errorf("%q: %v became %v", host, want, got)
		}
	})
}
