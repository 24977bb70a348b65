package smtp

import "strconv"

// A Reply is one line of answer to the client, without its CR LF.
type Reply string

// The replies that do not depend on the session.
const (
	replyOK            Reply = "250 ok"
	replyFlushed       Reply = "250 flushed"
	replyVrfy          Reply = "252 send some mail, i'll try my best"
	replyHelp          Reply = "214 qmail-smtpd for systemd: see qmail-smtpd(8)"
	replyGoAhead       Reply = "354 go ahead"
	replyTimeout       Reply = "451 timeout (#4.4.2)"
	replyBareLF        Reply = "451 See https://cr.yp.to/docs/smtplf.html."
	replyNoQueue       Reply = "451 qqt failure (#4.3.0)"
	replyTooMany       Reply = "452 too many recipients (#4.5.3)"
	replyUnimplemented Reply = "502 unimplemented (#5.5.1)"
	replyMailFirst     Reply = "503 MAIL first (#5.5.1)"
	replyRcptFirst     Reply = "503 RCPT first (#5.5.1)"
	replyTooBig        Reply = "552 sorry, that message size exceeds my databytes limit (#5.3.4)"
	replyBadSender     Reply = "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"
	replyNotMyDomain   Reply = "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
	replyTooManyHops   Reply = "554 too many hops, this message is looping (#5.4.6)"
	replySyntax        Reply = "555 syntax error (#5.5.4)"

	// Busy is sent in place of a greeting where a limit of the server is reached.
	Busy Reply = "421 sorry, I have no room for you now, try again later (#4.3.2)"

	// UnreadableControls is sent in place of a greeting, or in the middle of
	// a session, when a control file exists and cannot be read.
	UnreadableControls Reply = "421 unable to read controls (#4.3.0)"
	unknownAddresses   Reply = "421 unable to figure out my IP addresses (#4.3.0)"
)

func queued(unixTime int64, number int) Reply {
	text := make([]byte, 0, 48)
	text = append(text, "250 ok "...)
	text = strconv.AppendInt(text, unixTime, 10)
	text = append(text, " qp "...)
	text = strconv.AppendInt(text, int64(number), 10)
	return Reply(text)
}

func refusal(v Verdict) Reply {
	text := []byte("451 " + v.Text)
	if v.Permanent {
		copy(text, "554")
	}
	for i, b := range text {
		if b < ' ' || b == 0x7f {
			text[i] = '?'
		}
	}
	return Reply(text)
}

func closing(greeting string) Reply {
	return Reply("421 " + greeting + " closing, try again (#4.3.2)")
}
