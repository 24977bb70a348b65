package rules

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"qmail-smtpd/internal/cdb"
	"qmail-smtpd/internal/command"
)

// TCPRulesCheck is the command tcprulescheck: it prints the rule of a cdb
// that would hold for the client in its environment, and what it does.
func TCPRulesCheck(args []string) int {
	const name = "tcprulescheck"
	words, explain := cutExplain(args)
	if len(words) < 1 {
		return command.Usage(name, "tcprulescheck rules.cdb")
	}
	path := words[0]
	m, err := findIn(path, peerFromEnvironment())
	if err != nil {
		return command.Fatal(name, "unable to read "+path, err)
	}
	var text []byte
	if explain {
		source := strings.TrimSuffix(path, ".cdb")
		if len(words) > 1 {
			source = words[1]
		}
		if source == path {
			return command.Usage(name, "tcprulescheck --explain rules.cdb rules")
		}
		if text, err = m.origin(source); err != nil {
			return command.Fatal(name, "unable to read "+source, err)
		}
	}
	if _, err := os.Stdout.Write(m.describe(text, explain)); err != nil {
		return command.Fatal(name, "unable to write output", err)
	}
	return 0
}

func peerFromEnvironment() (p Peer) {
	var known bool
	if p.IP, known = os.LookupEnv("TCPREMOTEIP"); !known {
		p.IP = "0.0.0.0"
	}
	if addr, err := netip.ParseAddr(p.IP); err == nil && addr.Is6() {
		p.IP = addr.WithZone("").String() // as tcpserver has it
	}
	p.Host, p.HostKnown = os.LookupEnv("TCPREMOTEHOST")
	p.Info, p.InfoKnown = os.LookupEnv("TCPREMOTEINFO")
	return p
}

func findIn(path string, p Peer) (m match, err error) {
	err = cdb.NewFile(path).View(func(db cdb.Reader) error {
		return m.find(db, p)
	})
	return m, err
}

// describe appends the lines that tcprulescheck prints about the rule; with
// all, also for the variables of a rule that denies.
func (m *match) describe(text []byte, all bool) []byte {
	if m.found {
		text = append(text, "rule "...)
		text = append(text, m.key...)
		text = append(text, ":\n"...)
	} else {
		text = append(text, "default:\n"...)
	}
	deny := m.apply(func(setting []byte, denied bool) {
		if !denied || all {
			text = append(text, "set environment variable "...)
			text = append(text, setting...)
			text = append(text, '\n')
		}
	})
	if deny {
		return append(text, "deny connection\n"...)
	}
	return append(text, "allow connection\n"...)
}

// errFound ends the search of origin.
var errFound = errors.New("found")

// origin returns a line that tells which line of the rules in the file name
// made the rule.
func (m *match) origin(name string) ([]byte, error) {
	if !m.found {
		return fmt.Appendf(nil, "no line of %s decides\n", name), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	same := false
	c := compiler{source: Source{File: name}}
	c.add = func(key, data []byte) error {
		if !bytes.Equal(key, m.key) {
			return nil
		}
		same = bytes.Equal(data, m.data)
		return errFound
	}
	err = c.text(file)
	var syntax *SyntaxError
	switch {
	case err == errFound && same:
		return fmt.Appendf(nil, "%v decides: %s\n", c.source, c.line), nil
	case err == errFound:
		return fmt.Appendf(nil, "%v has changed since the rules were compiled: %s\n", c.source, c.line), nil
	case errors.As(err, &syntax):
		return fmt.Appendf(nil, "no line before %v decides, and that is no rule: %s\n", syntax.Source, syntax.Line), nil
	case err != nil:
		return nil, err
	}
	return fmt.Appendf(nil, "no line of %s decides, which has changed since the rules were compiled\n", name), nil
}
