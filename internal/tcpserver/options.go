package tcpserver

import (
	"os"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
)

const usage = "tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ] [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program"

// defaultBacklog is what the kernel caps at net.core.somaxconn. The classic
// 20 makes clients that come at the same moment wait for seconds.
const defaultBacklog = 4096

// options are what the command line asks for.
type options struct {
	verbosity      verbosity
	printPort      bool
	limit          uint64 // connections at the same time
	backlog        int
	rules          string // file name
	rulesGiven     bool
	rulesOptional  bool
	banner         string
	noDelay        bool
	keepIPOptions  bool
	lookUpRemote   bool
	paranoid       bool
	ident          bool
	identTimeout   time.Duration
	localName      string
	localNameGiven bool
	uid, gid       uint32 // 0: leave as it is
	alwaysExec     bool
	terms          terms

	host, port string
	program    []string
}

// parse reads the command line. Where it is wrong it tells how to use the
// command, and ok is false.
func parse(args []string) (o *options, ok bool) {
	o = &options{
		verbosity:    errorsOnly,
		limit:        40,
		backlog:      defaultBacklog,
		lookUpRemote: true,
		ident:        true,
		identTimeout: 26 * time.Second,
	}
	getopt := command.NewGetopt(args, "dDvqQhHrR1UXx:t:u:g:l:b:B:c:pPoO")
	getopt.Long = []string{"exec", "maxconnip=", "maxrateip=", "maxload="}
	for {
		option, argument, more := getopt.Next()
		if !more {
			break
		}
		ok = true
		switch option {
		case "v":
			o.verbosity = everything
		case "Q":
			o.verbosity = errorsOnly
		case "q":
			o.verbosity = nothing
		case "1":
			o.printPort = true
		case "c":
			o.limit = number(argument)
		case "b":
			o.backlog = int(int32(number(argument)))
		case "x":
			o.rules, o.rulesGiven = argument, true
		case "X":
			o.rulesOptional = true
		case "B":
			o.banner = argument
		case "D", "d":
			o.noDelay = option == "D"
		case "O", "o":
			o.keepIPOptions = option == "o"
		case "H", "h":
			o.lookUpRemote = option == "h"
		case "P", "p":
			o.paranoid = option == "p"
		case "R", "r":
			o.ident = option == "r"
		case "t":
			o.identTimeout = time.Duration(min(number(argument), 1<<31)) * time.Second
		case "l":
			o.localName, o.localNameGiven = argument, true
		case "u":
			o.uid = uint32(number(argument))
		case "g":
			o.gid = uint32(number(argument))
		case "U":
			if uid, ok := os.LookupEnv("UID"); ok {
				o.uid = uint32(number(uid))
			}
			if gid, ok := os.LookupEnv("GID"); ok {
				o.gid = uint32(number(gid))
			}
		case "exec":
			o.alwaysExec = true
		case "maxconnip":
			o.terms.connections = newLimit(argument)
			ok = o.terms.connections.set
		case "maxrateip":
			o.terms.rate = newLimit(argument)
			ok = o.terms.rate.set
		case "maxload":
			o.terms.load = newLimit(argument)
			ok = o.terms.load.set
		default:
			ok = false
		}
		if !ok {
			command.Usage("tcpserver", usage)
			return nil, false
		}
	}
	if o.host, o.port, o.program, ok = inet.Operands(getopt.Rest()); !ok {
		if o.verbosity > nothing {
			command.Usage("tcpserver", usage)
		}
		return nil, false
	}
	return o, true
}

func number(text string) uint64 {
	n, _ := command.ScanNumber(text)
	return n
}
