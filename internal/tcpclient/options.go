package tcpclient

import (
	"net/netip"
	"strings"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
)

const usage = "tcpclient [ -hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ] [ -t timeoutinfo ] host port program"

// A verbosity says which lines are printed.
type verbosity int

const (
	nothing verbosity = iota
	errorsOnly
	everything
)

// options are what the command line asks for.
type options struct {
	verbosity      verbosity
	localIP        netip.Addr // zero: the system's choice
	localPort      uint16     // 0: the system's choice
	timeouts       [2]time.Duration
	noDelay        bool
	lookUpRemote   bool
	ident          bool
	identTimeout   time.Duration
	localName      string
	localNameGiven bool

	host, port string
	program    []string
}

// connectionTimeouts are the classic ones: for the first try of each address
// of a host, and for the second.
var connectionTimeouts = [2]time.Duration{2 * time.Second, 58 * time.Second}

// parse reads the command line. Where it is wrong it tells how to use the
// command, and ok is false.
func parse(args []string) (o *options, ok bool) {
	o = &options{
		verbosity:    errorsOnly,
		timeouts:     connectionTimeouts,
		lookUpRemote: true,
		ident:        true,
		identTimeout: 26 * time.Second,
	}
	getopt := command.NewGetopt(args, "dDvqQhHrRi:p:t:T:l:")
	for {
		option, argument, more := getopt.Next()
		if !more {
			break
		}
		switch option {
		case "v":
			o.verbosity = everything
		case "Q":
			o.verbosity = errorsOnly
		case "q":
			o.verbosity = nothing
		case "D", "d":
			o.noDelay = option == "D"
		case "H", "h":
			o.lookUpRemote = option == "h"
		case "R", "r":
			o.ident = option == "r"
		case "t":
			o.identTimeout = seconds(argument)
		case "T":
			first, second, _ := cutNumber(argument, '+')
			o.timeouts = [2]time.Duration{seconds(first), seconds(second)}
		case "l":
			o.localName, o.localNameGiven = argument, true
		case "i":
			if o.localIP, ok = localAddress(argument); !ok {
				command.Usage("tcpclient", usage)
				return nil, false
			}
		case "p":
			n, _ := command.ScanNumber(argument)
			o.localPort = uint16(n)
		default:
			command.Usage("tcpclient", usage)
			return nil, false
		}
	}
	if o.host, o.port, o.program, ok = inet.Operands(getopt.Rest()); !ok {
		if o.verbosity > nothing {
			command.Usage("tcpclient", usage)
		}
		return nil, false
	}
	return o, true
}

// seconds reads a number of seconds.
func seconds(text string) time.Duration {
	n, _ := command.ScanNumber(text)
	return time.Duration(min(n, 1<<31)) * time.Second
}

// cutNumber splits text after the number that it begins with, if separator
// follows there.
func cutNumber(text string, separator byte) (number, rest string, found bool) {
	_, taken := command.ScanNumber(text)
	if taken < len(text) && text[taken] == separator {
		return text[:taken], text[taken+1:], true
	}
	return text[:taken], "", false
}

// localAddress understands an IPv4 address, whatever follows it, as the
// classic programs do, or an IPv6 address.
func localAddress(text string) (_ netip.Addr, ok bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr, true
	}
	var ip [4]byte
	for i := range ip {
		n, taken := command.ScanNumber(text)
		if taken == 0 {
			return netip.Addr{}, false
		}
		ip[i] = byte(n)
		text = text[taken:]
		if i == 3 {
			break
		}
		if text, ok = strings.CutPrefix(text, "."); !ok {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4(ip), true
}
