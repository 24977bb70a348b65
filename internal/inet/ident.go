package inet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// maxInfo is the number of bytes after which an answer is cut.
const maxInfo = 257

// IdentPort is the port of the ident service.
const IdentPort = 113

// Ident asks the peer's ident service (RFC 1413), at port, who holds the
// connection between local and remote. The answer is empty where the service
// says that it cannot tell, and unknown where there is no answer in time.
func Ident(local, remote netip.AddrPort, port uint16, timeout time.Duration) Name {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0)), KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(remote.Addr(), port).String())
	if err != nil {
		return Name{}
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if _, err := fmt.Fprintf(conn, "%d , %d\r\n", remote.Port(), local.Port()); err != nil {
		return Name{}
	}
	var answer identAnswer
	buf := make([]byte, 128)
	for {
		n, err := conn.Read(buf)
		if answer.read(buf[:n]) {
			return Name{string(answer.info), true}
		}
		if err != nil {
			return Name{}
		}
	}
}

// An identAnswer collects what follows the third colon of the answer's line.
type identAnswer struct {
	colons int
	info   []byte
}

// read takes the next bytes of the answer and tells whether it is complete.
// Blanks and carriage returns are left out.
func (a *identAnswer) read(b []byte) (complete bool) {
	for _, c := range b {
		switch {
		case c == '\n':
			return true
		case c == ' ' || c == '\t' || c == '\r':
		case a.colons < 3:
			if c == ':' {
				a.colons++
			}
		default:
			a.info = append(a.info, c)
			if len(a.info) == maxInfo {
				return true
			}
		}
	}
	return false
}
