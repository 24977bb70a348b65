// Package qmailsmtpd is the command qmail-smtpd: it plugs the control files,
// the environment, the queue and the log into an SMTP session, for a client
// on descriptors 0 and 1 or for the connections of a server in the same
// process.
//
// What is said to the client is decided in package smtp alone.
package qmailsmtpd
