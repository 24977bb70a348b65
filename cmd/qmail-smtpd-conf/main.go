// The makers of service directories, and the check before the SMTP service is
// put on its port.
package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/preflight"
	"qmail-smtpd/internal/servicedir"
)

func main() {
	os.Exit(command.Table{
		"qmail-queue-conf":      servicedir.QMailQueueConf,
		"qmail-smtpd-conf":      servicedir.QMailSMTPDConf,
		"qmail-smtpd-preflight": preflight.Main,
	}.Run(os.Args))
}
