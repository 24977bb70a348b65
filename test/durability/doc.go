//go:build durability

// Package durability proves, by force, that what was acknowledged is kept: a
// message after its code 0 or 250, a log after its mode 0744. Its tests cut
// the power of real ext4 and xfs file systems, kill the programs, and make
// their calls fail.
//
// The programs are those that make build makes, run as they stand; nothing of
// the queue is known here but qmail's format and the ways to submit. It needs
// root, and makes mounts in a namespace of its own.
package durability
