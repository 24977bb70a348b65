// Package smtp is the receiving side of one SMTP session, as qmail-smtpd
// holds it: commands, replies, addresses, the body after DATA, and the
// Received line.
//
// It answers as notqmail does, byte for byte. It knows no sockets, files or
// processes: what it needs from the world it asks of the interfaces in
// Config, and it must not import what implements them.
package smtp
