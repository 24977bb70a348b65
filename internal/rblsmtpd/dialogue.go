package rblsmtpd

import (
	"bufio"
	"bytes"
	"io"
)

const host = "rblsmtpd.local"

// turnAway talks to a client that gets reply to all that matters, until it
// quits or a read or write fails.
func turnAway(client io.ReadWriter, reply string) {
	next := "220 " + host
	in := bufio.NewReaderSize(client, 512)
	for {
		if _, err := io.WriteString(client, next+"\r\n"); err != nil {
			return
		}
		verb, err := readVerb(in)
		if err != nil {
			return
		}
		switch verb {
		case "quit":
			io.WriteString(client, "221 "+host+"\r\n")
			return
		case "helo", "ehlo", "mail", "rset", "noop":
			next = "250 " + host
		default:
			next = reply
		}
	}
}

// readVerb reads a line and returns the verb that it begins with, in lower
// case; what has not the length of a verb is empty.
func readVerb(in *bufio.Reader) (verb string, err error) {
	line, err := in.ReadSlice('\n')
	if err == nil {
		line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	}
	if word, _, _ := bytes.Cut(line, []byte(" ")); len(word) == len("helo") {
		verb = string(bytes.ToLower(word))
	}
	for err == bufio.ErrBufferFull {
		_, err = in.ReadSlice('\n')
	}
	return verb, err
}
