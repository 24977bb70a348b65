// Package preflight tells, before the SMTP service is put on a port, who holds
// that port already, and what frees it. It looks and changes nothing.
package preflight

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"qmail-smtpd/internal/command"
)

const name = "qmail-smtpd-preflight"

// Main is the command qmail-smtpd-preflight: it tells whether
// a TCP port, by default 25, is free on this machine, and otherwise who holds
// it and what frees it, a line for each holder. It exits 0 when the port is
// free and 1 when it is not.
func Main(args []string) int {
	port := uint16(25)
	switch len(args) {
	case 1:
	case 2:
		n, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil || n == 0 {
			return command.Permanent(name, "not a port number: "+args[1], nil)
		}
		port = uint16(n)
	default:
		return command.Usage(name, "qmail-smtpd-preflight [ port ]")
	}
	holders, err := host{output: output}.holders(port)
	if err != nil {
		return command.Fatal(name, "unable to see who listens", err)
	}
	if len(holders) == 0 {
		return 0
	}
	for _, h := range holders {
		fmt.Fprintf(os.Stderr, "%s: port %d is held by %s\n", name, port, h)
	}
	return 1
}

// A holder has a port open at some addresses.
type holder struct {
	who       string   // the program, or what else is known
	facts     []string // its pid, its unit, its package
	addresses []string
	hint      string   // what else can be done
	commands  []string // what frees the port, one after the other
}

func (h holder) String() string {
	var b strings.Builder
	b.WriteString(h.who)
	if len(h.facts) > 0 {
		b.WriteString(" (" + strings.Join(h.facts, ", ") + ")")
	}
	b.WriteString(" at " + strings.Join(h.addresses, " and "))
	if h.hint != "" {
		b.WriteString("; " + h.hint)
	}
	if len(h.commands) > 0 {
		b.WriteString("; to free it: " + strings.Join(h.commands, "; "))
	}
	return b.String()
}
