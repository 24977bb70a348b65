package tcpclient

import (
	"bytes"

	"qmail-smtpd/internal/filters"
)

// HTTP prints a page that a web server gives by HTTP/1.0: it is
// "http@ [ host [ page [ port ] ] ]".
func HTTP(args []string) int {
	host, page, port := argument(args, 1, "0"), argument(args, 2, ""), argument(args, 3, "80")
	network, ok := open(host, port)
	if !ok {
		return 0
	}
	sendLines(network, "GET /"+page+" HTTP/1.0\nHost: "+host+":"+port+"\n\n")
	var cr filters.CRRemover
	var body pageBody
	var text []byte
	return receiveText("http@", network, func(out, in []byte, last bool) []byte {
		text = cr.Edit(text[:0], in, last)
		return body.edit(out, text, last)
	}, 2)
}

// A pageBody picks the body out of a response that comes in pieces: the lines
// after the first empty one. As the classic http@ does, it leaves out all
// empty lines, and ends the last one.
type pageBody struct {
	begun  bool
	inLine bool // within a line that has a byte
}

func (b *pageBody) edit(out, in []byte, last bool) []byte {
	for len(in) > 0 {
		line, rest, whole := bytes.Cut(in, []byte("\n"))
		in = rest
		b.inLine = b.inLine || len(line) > 0
		empty := whole && !b.inLine
		switch {
		case empty:
			b.begun = true
		case b.begun:
			out = append(out, line...)
			if whole {
				out = append(out, '\n')
			}
		}
		if whole {
			b.inLine = false
		}
	}
	if last && b.begun && b.inLine {
		out = append(out, '\n')
	}
	return out
}
