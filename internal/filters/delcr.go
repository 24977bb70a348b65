package filters

import "bytes"

// DelCR is the command delcr: it copies standard input to standard output
// without the carriage return at the end of each line.
func DelCR(args []string) int {
	var r CRRemover
	return stream("delcr", r.Edit)
}

// A CRRemover removes the carriage return at the end of each line of a stream
// that comes in pieces. It holds one back while the byte that decides about it
// is not there. The zero value is ready for a stream.
type CRRemover struct{ held bool }

// Edit appends to out what remains of in, the next piece of the stream; last
// says that nothing follows.
func (r *CRRemover) Edit(out, in []byte, last bool) []byte {
	if r.held && (last || len(in) > 0) {
		r.held = false
		if len(in) == 0 || in[0] != '\n' {
			out = append(out, '\r')
		}
	}
	for {
		line, rest, whole := bytes.Cut(in, []byte("\n"))
		text, cut := bytes.CutSuffix(line, []byte("\r"))
		out = append(out, text...)
		if !whole {
			r.held = cut
			return out
		}
		out = append(out, '\n')
		in = rest
	}
}
