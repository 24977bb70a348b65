package smtp

// received returns the two lines that go before the message.
func (s *session) received() []byte {
	peer, helo := &s.Peer, s.transaction.Helo
	line := make([]byte, 0, 256)
	line = append(line, "Received: from "...)
	line = appendSafe(line, peer.RemoteHost)
	if s.helloSaid && !equalFold(helo, peer.RemoteHost) {
		line = append(line, " (HELO "...)
		line = appendSafe(line, helo)
		line = append(line, ')')
	}
	line = append(line, " ("...)
	if peer.RemoteInfo != nil {
		line = appendSafe(line, *peer.RemoteInfo)
		line = append(line, '@')
	}
	line = appendSafe(line, peer.RemoteIP)
	line = append(line, ")\n  by "...)
	line = appendSafe(line, peer.LocalHost)
	line = append(line, " with SMTP; "...)
	line = s.Now().UTC().AppendFormat(line, "2 Jan 2006 15:04:05 -0000")
	return append(line, '\n')
}

// appendSafe appends text with "?" in place of every byte that could mean
// something in a header field.
func appendSafe(line []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		b := text[i]
		if !safe(b) {
			b = '?'
		}
		line = append(line, b)
	}
	return line
}

func safe(b byte) bool {
	switch b {
	case '.', '@', '%', '+', '/', '=', ':', '-', '[', ']':
		return true
	}
	return b >= '0' && b <= '9' || lower(b) >= 'a' && lower(b) <= 'z'
}

// equalFold tells whether a and b are equal but for the case of ASCII
// letters.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
