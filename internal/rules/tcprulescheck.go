package rules

import (
	"os"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
)

// TCPRulesCheck is the command tcprulescheck: it prints the rule of a cdb
// that would hold for the client in its environment, and what it does.
func TCPRulesCheck(args []string) int {
	const name = "tcprulescheck"
	if len(args) < 2 {
		return command.Usage(name, "tcprulescheck rules.cdb")
	}
	var p Peer
	var known bool
	if p.IP, known = os.LookupEnv("TCPREMOTEIP"); !known {
		p.IP = "0.0.0.0"
	}
	p.Host, p.HostKnown = os.LookupEnv("TCPREMOTEHOST")
	p.Info, p.InfoKnown = os.LookupEnv("TCPREMOTEINFO")

	text, err := explain(args[1], p)
	if err != nil {
		return command.Fatal(name, "unable to read "+args[1], err)
	}
	if _, err := os.Stdout.Write(text); err != nil {
		return command.Fatal(name, "unable to write output", err)
	}
	return 0
}

// explain returns the lines that tcprulescheck prints for p.
func explain(path string, p Peer) ([]byte, error) {
	var m match
	err := cdb.NewFile(path).View(func(db cdb.Reader) error {
		return m.find(db, p)
	})
	if err != nil {
		return nil, err
	}
	text := []byte("default:\n")
	if m.found {
		text = append([]byte("rule "), m.key...)
		text = append(text, ":\n"...)
	}
	deny := m.apply(func(setting []byte) {
		text = append(text, "set environment variable "...)
		text = append(text, setting...)
		text = append(text, '\n')
	})
	if deny {
		return append(text, "deny connection\n"...), nil
	}
	return append(text, "allow connection\n"...), nil
}
