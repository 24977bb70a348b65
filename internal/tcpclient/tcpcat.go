package tcpclient

import "qmail-smtpd/internal/command"

// TCPCat prints what a server sends, byte for byte: it is
// "tcpcat [ host [ port ] ]".
func TCPCat(args []string) int {
	network, ok := open(argument(args, 1, "0"), argument(args, 2, "17"))
	if !ok {
		return command.ExitTemporary
	}
	readErr, writeErr := receive(network, nil)
	switch {
	case readErr != nil:
		command.Fatal("tcpcat", "unable to read from network", readErr)
		return 1 // as cat
	case writeErr != nil:
		command.Fatal("tcpcat", "unable to write output", writeErr)
		return 1
	}
	return 0
}
