package network

import "net"

// ServeIdent offers the ident service (RFC 1413) at an address of its own,
// which it returns, for the time of a test.
func ServeIdent(t T, answer string) (ip string, questions <-chan string) {
	t.Helper()
	for try := 0; ; try++ {
		ip = Loopback()
		questions, end, err := ListenIdent(ip, answer)
		if err == nil {
			t.Cleanup(end)
			return ip, questions
		}
		if try == 5 {
			t.Fatal(err)
		}
	}
}

// ListenIdent offers the ident service at ip until end is called. It gives
// every client the same answer, none at all where that is empty, and keeps the
// first hundred questions.
func ListenIdent(ip, answer string) (questions <-chan string, end func(), err error) {
	listener, err := net.Listen("tcp4", ip+":113")
	if err != nil {
		return nil, nil, err
	}
	asked := make(chan string, 100)
	go func() {
		var open []net.Conn
		defer func() {
			for _, conn := range open {
				conn.Close()
			}
		}()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 100)
			n, _ := conn.Read(buf)
			select {
			case asked <- string(buf[:n]):
			default:
			}
			if answer == "" {
				open = append(open, conn)
				continue
			}
			conn.Write([]byte(answer))
			conn.Close()
		}
	}()
	return asked, func() { listener.Close() }, nil
}
