package qmailsmtpd

import (
	"io"
	"strconv"
	"time"

	"qmail-smtpd/internal/smtp"
)

// maxField is how much of a field stands in a log line.
const maxField = 100

// A sessionLog writes the log lines of one session. Their form is a contract
// with those who read logs, and stands in qmail-smtpd(8).
type sessionLog struct {
	w  io.Writer
	id int
	ip string
}

// Accepted implements smtp.Log.
func (l *sessionLog) Accepted(t *smtp.Transaction, number int) {
	line := l.message("accepted", t)
	line = appendNumber(line, " qp=", int64(number))
	l.write(line)
}

// Refused implements smtp.Log.
func (l *sessionLog) Refused(t *smtp.Transaction, reply smtp.Reply) {
	line := l.message("refused", t)
	line = appendReply(line, reply)
	l.write(line)
}

// RefusedRecipient implements smtp.Log.
func (l *sessionLog) RefusedRecipient(t *smtp.Transaction, recipient string, reply smtp.Reply) {
	line := l.begin("refused-rcpt", t.Helo)
	line = appendField(line, " from=", t.Sender)
	line = appendField(line, " to=", recipient)
	line = appendReply(line, reply)
	l.write(line)
}

func (l *sessionLog) ended(s smtp.Summary, lasted time.Duration) {
	line := l.begin("end", s.Helo)
	line = append(line, " cause="...)
	line = append(line, s.Cause.String()...)
	phase := "command"
	if s.InData {
		phase = "data"
	}
	line = append(line, " phase="...)
	line = append(line, phase...)
	line = appendNumber(line, " accepted=", int64(s.Accepted))
	line = appendNumber(line, " refused=", int64(s.Refused))
	line = appendNumber(line, " refused-rcpt=", int64(s.RefusedRecipients))
	line = appendNumber(line, " seconds=", int64(lasted/time.Second))
	l.write(line)
}

// message begins a line about a message.
func (l *sessionLog) message(event string, t *smtp.Transaction) []byte {
	line := l.begin(event, t.Helo)
	line = appendField(line, " from=", t.Sender)
	line = appendField(line, " to=", t.Recipients[0])
	line = appendNumber(line, " rcpts=", int64(len(t.Recipients)))
	return appendNumber(line, " bytes=", t.Bytes)
}

func (l *sessionLog) begin(event, helo string) []byte {
	line := make([]byte, 0, 512)
	line = appendNumber(line, "qmail-smtpd: ", int64(l.id))
	line = append(line, ' ')
	line = append(line, event...)
	line = appendField(line, " ip=", l.ip)
	return appendField(line, " helo=", helo)
}

func (l *sessionLog) write(line []byte) {
	l.w.Write(append(line, '\n'))
}

func appendNumber(line []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(line, name...), n, 10)
}

// appendField appends a value that holds no blank, quote or control byte
// afterwards.
func appendField(line []byte, name, value string) []byte {
	return appendClean(append(line, name...), value, '!')
}

// appendReply appends a reply, which may hold blanks, in quotes.
func appendReply(line []byte, reply smtp.Reply) []byte {
	line = append(line, ` reply="`...)
	line = appendClean(line, string(reply), ' ')
	return append(line, '"')
}

// appendClean appends value, with "?" in place of bytes below lowest, of all
// that is not ASCII, and of quotes; and cut where it is too long.
func appendClean(line []byte, value string, lowest byte) []byte {
	cut := len(value) > maxField
	if cut {
		value = value[:maxField]
	}
	for i := 0; i < len(value); i++ {
		b := value[i]
		if b < lowest || b > '~' || b == '"' || b == '\\' {
			b = '?'
		}
		line = append(line, b)
	}
	if cut {
		line = append(line, "..."...)
	}
	return line
}
