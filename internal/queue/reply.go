package queue

// Reply returns what an SMTP server answers about the result: whether a
// failure is permanent (554) or temporary (451), and the text of the answer
// with its enhanced status code. For code 0 it returns false and no text.
//
// The texts are those of qmail 1.03 with the codes that notqmail adds. For
// code 82 the text is the queue program's own, byte for byte: it may hold
// control characters, line ends among them.
func (r Result) Reply() (permanent bool, text string) {
	if r.Code == 82 && len(r.Text) >= 3 {
		return r.Text[0] == 'D', r.Text[1:]
	}
	switch r.Code {
	case 0:
		return false, ""
	case 11, 115:
		return true, "envelope address too long for qq (#5.1.3)"
	case 31:
		return true, "mail server permanently rejected message (#5.3.0)"
	case 51:
		return false, "qq out of memory (#4.3.0)"
	case 52:
		return false, "qq timeout (#4.3.0)"
	case 53:
		return false, "qq write error or disk full (#4.3.0)"
	case 54:
		return false, "qq read error (#4.3.0)"
	case 55:
		return false, "qq unable to read configuration (#4.3.0)"
	case 56:
		return false, "qq trouble making network connection (#4.3.0)"
	case 61:
		return false, "qq trouble in home directory (#4.3.0)"
	case 62, 63, 64, 65, 66:
		return false, "qq trouble creating files in queue (#4.3.0)"
	case 71:
		return false, "mail server temporarily rejected message (#4.3.0)"
	case 72:
		return false, "connection to mail server timed out (#4.4.1)"
	case 73:
		return false, "connection to mail server rejected (#4.4.1)"
	case 74:
		return false, "communication with mail server failed (#4.4.2)"
	case 81, 91:
		return false, "qq internal bug (#4.3.0)"
	case 120:
		return false, "unable to exec qq (#4.3.0)"
	case Crashed:
		return false, "qq crashed (#4.3.0)"
	case WaitFailed:
		return false, "qq waitpid surprise (#4.3.0)"
	case NotSubmitted:
		return false, "qqt failure (#4.3.0)"
	}
	if r.Code >= 11 && r.Code <= 40 {
		return true, "qq permanent problem (#5.3.0)"
	}
	return false, "qq temporary problem (#4.3.0)"
}
