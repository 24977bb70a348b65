package rblsmtpd

import "qmail-smtpd/internal/command"

const usage = "rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]"

// options are what the command line asks for.
type options struct {
	lists   []list
	timeout uint64 // seconds; 0: no dialogue
	program []string
}

// A list is to be asked about the client, with the flags that stood before it.
type list struct {
	base       string
	anti       bool // the listed are let in
	bounce     bool // the listed are told not to come again
	failClosed bool // no answer counts against the client
}

// parse reads the command line. Where it is wrong it tells how to use the
// command, and ok is false.
func parse(args []string) (o *options, ok bool) {
	o = &options{timeout: 60}
	var flags list
	getopt := command.NewGetopt(args, "bBcCt:r:a:")
	for {
		option, argument, more := getopt.Next()
		if !more {
			break
		}
		switch option {
		case "B", "b":
			flags.bounce = option == "b"
		case "C", "c":
			flags.failClosed = option == "c"
		case "t":
			o.timeout, _ = command.ScanNumber(argument)
		case "r", "a":
			asked := flags
			asked.base = argument
			asked.anti = option == "a"
			o.lists = append(o.lists, asked)
		default:
			command.Usage("rblsmtpd", usage)
			return nil, false
		}
	}
	o.program = getopt.Rest()
	if len(o.program) == 0 {
		command.Usage("rblsmtpd", usage)
		return nil, false
	}
	return o, true
}
