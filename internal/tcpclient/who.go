package tcpclient

import (
	"bytes"
	"io"

	"qmail-smtpd/internal/filters"
)

// Who prints who uses a machine (port 11): it is "who@ [ host ]".
func Who(args []string) int {
	return ask("who@", argument(args, 1, "0"), "11", "")
}

// Date prints the date of a machine (port 13): it is "date@ [ host ]".
func Date(args []string) int {
	return ask("date@", argument(args, 1, "0"), "13", "")
}

// Finger prints what a machine tells of a user (port 79, RFC 1288): it is
// "finger@ [ host [ user ] ]".
func Finger(args []string) int {
	return ask("finger@", argument(args, 1, "0"), "79", argument(args, 2, "")+"\n")
}

// ask prints the answer to a question made visible. The exit code does not
// tell whether there was one, as in the classic commands.
func ask(name, host, port, question string) int {
	network, ok := open(host, port)
	if !ok {
		return 0
	}
	sendLines(network, question)
	var cr filters.CRRemover
	var text []byte
	return receiveText(name, network, func(out, in []byte, last bool) []byte {
		text = cr.Edit(text[:0], in, last)
		return appendVisible(out, text)
	}, 1)
}

// sendLines sends text with a carriage return before each line feed. That the
// server does not take it shows in its answer.
func sendLines(network io.Writer, text string) {
	network.Write(bytes.ReplaceAll([]byte(text), []byte("\n"), []byte("\r\n")))
}
