package preflight

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// A socket is a line of /proc/net/tcp about one that listens.
type socket struct {
	address    netip.AddrPort
	inode, uid string
}

// listening returns the sockets, of IPv4 and IPv6, that listen on the port at
// any address.
func (h host) listening(port uint16) ([]socket, error) {
	var sockets []socket
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(h.root + table)
		if errors.Is(err, fs.ErrNotExist) && table == "/proc/net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			const listen = "0A"
			if len(fields) < 10 || fields[3] != listen {
				continue
			}
			if address, ok := parseAddress(fields[1]); ok && address.Port() == port {
				sockets = append(sockets, socket{address, fields[9], fields[7]})
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return sockets, nil
}

// parseAddress reads an address as the kernel prints it: words of four bytes
// in the order of the machine, and the port as a number.
func parseAddress(text string) (address netip.AddrPort, ok bool) {
	digits, port, found := strings.Cut(text, ":")
	b, err := hex.DecodeString(digits)
	if !found || err != nil || len(b)%4 != 0 {
		return address, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, ok := netip.AddrFromSlice(b)
	if !ok {
		return address, false
	}
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip, uint16(n)), err == nil
}
