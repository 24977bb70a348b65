// Package tcpclient is the client's side of ucspi-tcp: tcpclient, which makes
// a connection and runs a program on it, and the commands that make one for
// themselves: mconnect (and mconnect-io, its half), tcpcat, who@, date@,
// finger@ and http@.
//
// It knows nothing of servers, rules or mail.
package tcpclient
