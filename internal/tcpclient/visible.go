package tcpclient

// appendVisible appends text with its bytes that do not print, tabs and line
// feeds aside, in the notation of cat -v.
func appendVisible(out, text []byte) []byte {
	for _, c := range text {
		if c >= 0x80 {
			out = append(out, 'M', '-')
			c -= 0x80
		} else if c == '\t' || c == '\n' {
			out = append(out, c)
			continue
		}
		if c < ' ' || c == 0x7f {
			out = append(out, '^')
			c ^= 0x40
		}
		out = append(out, c)
	}
	return out
}
