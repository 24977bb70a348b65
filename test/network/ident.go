package network

import "net"

// ServeIdent offers the ident service (RFC 1413) at an address of its own,
// which it returns. It gives every client the same answer, none at all where
// that is empty, and keeps the questions.
func ServeIdent(t T, answer string) (ip string, questions <-chan string) {
	t.Helper()
	var listener net.Listener
	for try := 0; listener == nil; try++ {
		ip = Loopback()
		var err error
		if listener, err = net.Listen("tcp4", ip+":113"); err != nil && try == 5 {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { listener.Close() })
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
			asked <- string(buf[:n])
			if answer == "" {
				open = append(open, conn)
				continue
			}
			conn.Write([]byte(answer))
			conn.Close()
		}
	}()
	return ip, asked
}
