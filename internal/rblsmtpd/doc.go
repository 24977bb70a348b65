// Package rblsmtpd is the command rblsmtpd: it looks a client up in lists that
// the domain name system publishes, and turns those away that are listed. It
// serves the client on descriptors 0 and 1, or the connections of a server in
// the same process.
//
// It speaks only as much SMTP as turning a client away takes.
package rblsmtpd
