// Package inet is what the programs of ucspi-tcp know of the internet: hosts
// and ports as words of a command line, addresses in the kernel's form, names
// from the domain name system, and the answers of ident services. It serves
// and keeps no connections.
package inet
