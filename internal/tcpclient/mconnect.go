package tcpclient

import (
	"bytes"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Mconnect talks to a mail server: it is "mconnect [ host [ port ] ]".
func Mconnect(args []string) int {
	network, ok := open(argument(args, 1, "0"), argument(args, 2, "25"))
	if !ok {
		return command.ExitTemporary
	}
	return talk(network, network)
}

// MconnectIO is mconnect on a connection at descriptors 6 and 7.
func MconnectIO(args []string) int {
	return talk(os.NewFile(readDescriptor, "network"), os.NewFile(writeDescriptor, "network"))
}

// talk sends standard input with a carriage return before each line feed, and
// prints what comes back, until the server has ended. The end of the input
// does not end the connection.
func talk(from io.Reader, to io.Writer) int {
	signal.Ignore(unix.SIGPIPE) // the server decides about the end
	go func() {
		buf := make([]byte, 8<<10)
		for {
			n, err := os.Stdin.Read(buf)
			if _, failed := to.Write(bytes.ReplaceAll(buf[:n], []byte("\n"), []byte("\r\n"))); failed != nil || err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 8<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			os.Stdout.Write(buf[:n])
		}
		if err != nil {
			return 0
		}
	}
}
