// The log side: multilog, tai64n and tai64nlocal.
package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/multilog"
)

func main() {
	os.Exit(command.Table{
		"multilog":      multilog.Main,
		"multilog-gzip": multilog.Gzip,
		"tai64n":        multilog.TAI64N,
		"tai64nlocal":   multilog.TAI64NLocal,
	}.Run(os.Args))
}
