package main

import (
	"os"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/qmailsmtpd"
	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/tcpserver"
	"qmail-smtpd/internal/ucspi"
)

func main() {
	os.Exit(command.Table{
		"qmail-newmrh":  control.NewMRH,
		"qmail-smtpd":   qmailsmtpd.Main,
		"tcprules":      rules.TCPRules,
		"tcprulescheck": rules.TCPRulesCheck,
		"tcpserver": tcpserver.Command(map[string]ucspi.Builtin{
			"qmail-smtpd": qmailsmtpd.New,
		}),
	}.Run(os.Args))
}
