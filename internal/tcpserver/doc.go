// Package tcpserver accepts TCP connections and has each served: by a program
// that is started for it, or by a handler inside this process. It does what
// tcpserver of ucspi-tcp 0.88 does, on IPv4 and IPv6, on sockets that it
// binds itself or that systemd hands over.
//
// It knows nothing of the protocol that is spoken on a connection.
package tcpserver
