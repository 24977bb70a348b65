// Package literate tests what is written for administrators: that the man
// pages are sound and found, that references between documents lead
// somewhere, and that each command in a document works.
//
// A command is what stands in a block of its own in README.md, in docs, or in
// the EXAMPLES of a man page. The blocks of a document are executed in their
// order, each in a shell of its own, on a machine with systemd on which the
// packages were installed by the commands of the README. What a block says is
// for daemontools is executed on a machine with svscan and no systemd; what it
// says is for both, on both. The table says what blocks need beside that, what
// must come of them, and which are not executed, and why.
package literate
