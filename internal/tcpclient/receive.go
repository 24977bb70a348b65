package tcpclient

import (
	"io"
	"os"

	"qmail-smtpd/internal/command"
)

// An edit appends to out what is to be printed for in, the next piece of what
// the server sends; last says that nothing follows.
type edit func(out, in []byte, last bool) []byte

// receive prints what comes from the network up to its end, each piece as it
// comes; a nil edit changes nothing.
func receive(network io.Reader, edit edit) (readErr, writeErr error) {
	in := make([]byte, 32<<10)
	var edited []byte
	for {
		n, err := network.Read(in)
		text := in[:n]
		if edit != nil {
			edited = edit(edited[:0], text, err != nil)
			text = edited
		}
		if len(text) > 0 {
			if _, err := os.Stdout.Write(text); err != nil {
				return nil, err
			}
		}
		switch {
		case err == io.EOF:
			return nil, nil
		case err != nil:
			return err, nil
		}
	}
}

// receiveText is receive for the commands that print text, and returns their
// exit code: a connection that breaks is none of their failures.
func receiveText(name string, network io.Reader, edit edit, exitWrite int) int {
	readErr, writeErr := receive(network, edit)
	if writeErr != nil {
		command.Fatal(name, "unable to write output", writeErr)
		return exitWrite
	}
	if readErr != nil {
		command.Warning(name, "unable to read from network", readErr)
	}
	return 0
}
