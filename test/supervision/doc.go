// Package supervision is for tests of the programs that keep services
// running: it makes service directories, runs programs there, and waits for
// what they do.
package supervision
