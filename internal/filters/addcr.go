package filters

import "bytes"

// AddCR is the command addcr: it copies standard input to standard output
// with a carriage return before each line feed.
func AddCR(args []string) int {
	return stream("addcr", addCR)
}

func addCR(out, in []byte, last bool) []byte {
	for {
		line, rest, whole := bytes.Cut(in, []byte("\n"))
		out = append(out, line...)
		if !whole {
			return out
		}
		out = append(out, "\r\n"...)
		in = rest
	}
}
