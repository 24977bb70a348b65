package tcpserver

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// The variables by which a rule limits the connections of its clients, as
// known from the patches of ucspi-tcp, and the one for the rate.
const (
	maxConnIP = "MAXCONNIP" // connections of an address at the same time
	maxRateIP = "MAXRATEIP" // connections of an address in a minute
	maxLoad   = "MAXLOAD"   // load average of a minute, times 100
	dieMsg    = "DIEMSG"    // what a client is told that is not served
)

// A limit is a number that may be reached, if it is set.
type limit struct {
	number uint64
	set    bool
}

// newLimit understands a number. What is none sets no limit.
func newLimit(text string) limit {
	n, taken := command.ScanNumber(text)
	return limit{n, taken > 0 && taken == len(text)}
}

// terms are the limits for a client, from the options and its rule.
type terms struct {
	connections, rate, load limit

	message string // what the client is told that is not served
}

// set takes a variable of a rule.
func (t *terms) set(name, value []byte) {
	switch string(name) {
	case maxConnIP:
		t.connections = newLimit(string(value))
	case maxRateIP:
		t.rate = newLimit(string(value))
	case maxLoad:
		t.load = newLimit(string(value))
	case dieMsg:
		t.message = string(value)
	}
}

// A denial says that a connection is not served, and why.
type denial struct {
	passed  string // the limit; empty where a rule denies
	message string // for the client; may be empty
}

func (d *denial) Error() string { return "denied" }

// hold tells whether a connection is within its limits: nil, or a denial.
func (s *server) hold(c *connection, t *terms) error {
	passed := ""
	exceeds := func(name string, l limit) {
		passed = name + ":" + strconv.FormatUint(l.number, 10)
	}
	switch {
	case t.load.set && loadAverage() >= t.load.number:
		exceeds(maxLoad, t.load)
	case t.connections.set && c.number > t.connections.number:
		exceeds(maxConnIP, t.connections)
	case t.rate.set && !s.clients.keepsRate(c.remote.Addr(), time.Now(), t.rate.number):
		exceeds(maxRateIP, t.rate)
	default:
		return nil
	}
	message := t.message
	if message == "" && s.refuser != nil {
		message = s.refuser.Busy()
	}
	return &denial{passed, message}
}

// loadAverage returns the load average of the last minute, times 100. It does
// without /proc, which a sandbox may hide.
func loadAverage() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Loads[0]) * 100 >> 16
}
