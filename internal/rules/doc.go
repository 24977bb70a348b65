// Package rules decides by address, host name and ident answer which clients
// may connect and what is set in their environment: from the text that
// administrators write, by way of the compiled form in a cdb, to the look-up
// for one client.
//
// Text, cdb and look-up are those of ucspi-tcp 0.88, byte for byte. What goes
// beyond, rules for IPv6 and for prefixes and files that are included, is a
// mistake there or is never looked up. The package opens no connections and
// asks no name server.
package rules
