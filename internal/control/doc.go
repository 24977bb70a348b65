// Package control reads the control files of qmail-smtpd: the files in
// HOME/control, one setting each, in the classic syntax.
//
// A Directory keeps what it read and looks at each use, by stat alone,
// whether the files are still the same. The package knows no SMTP, and it
// never puts a default in the place of a file that exists and cannot be read.
package control
