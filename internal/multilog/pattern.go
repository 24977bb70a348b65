package multilog

import "bytes"

// match tells whether pattern matches the whole of text. A star stands for
// the longest run of bytes without the byte that follows it in the pattern,
// be that a star, too; at the end of the pattern it stands for anything.
func match(pattern string, text []byte) bool {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '*' {
			if i+1 == len(pattern) {
				return true
			}
			next := bytes.IndexByte(text, pattern[i+1])
			if next < 0 {
				return false
			}
			text = text[next:]
			continue
		}
		if len(text) == 0 || text[0] != pattern[i] {
			return false
		}
		text = text[1:]
	}
	return len(text) == 0
}
