package main

import (
	"os"

	"qmail-smtpd/internal/argv0"
	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/filters"
	"qmail-smtpd/internal/qmailsmtpd"
	"qmail-smtpd/internal/rblsmtpd"
	"qmail-smtpd/internal/rules"
	"qmail-smtpd/internal/tcpclient"
	"qmail-smtpd/internal/tcpserver"
	"qmail-smtpd/internal/ucspi"
)

func main() {
	os.Exit(command.Table{
		"addcr":         filters.AddCR,
		"argv0":         argv0.Main,
		"date@":         tcpclient.Date,
		"delcr":         filters.DelCR,
		"finger@":       tcpclient.Finger,
		"fixcrio":       filters.Fixcrio,
		"http@":         tcpclient.HTTP,
		"mconnect":      tcpclient.Mconnect,
		"mconnect-io":   tcpclient.MconnectIO,
		"qmail-newmrh":  control.NewMRH,
		"qmail-smtpd":   qmailsmtpd.Main,
		"rblsmtpd":      rblsmtpd.Main,
		"recordio":      filters.Recordio,
		"tcpcat":        tcpclient.TCPCat,
		"tcpclient":     tcpclient.TCPClient,
		"tcprules":      rules.TCPRules,
		"tcprulescheck": rules.TCPRulesCheck,
		"tcpserver": tcpserver.Command(map[string]ucspi.Builtin{
			"qmail-smtpd": qmailsmtpd.New,
		}, map[string]ucspi.Filter{
			"fixcrio":  filters.NewFixcrio,
			"rblsmtpd": rblsmtpd.New,
			"recordio": filters.NewRecordio,
		}),
		"who@": tcpclient.Who,
	}.Run(os.Args))
}
