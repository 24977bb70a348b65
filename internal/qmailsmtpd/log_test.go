package qmailsmtpd

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/smtp"
)

// The lines of a session, which qmail-smtpd(8) promises.
func TestLogLines(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, files("databytes", "20\n"), nil, nil)
	s := tr.serve(t)
	io.WriteString(s, "ehlo a b\"\x1b\r\n"+
		"mail from:<joe@b.org>\r\nrcpt to:<x@other.test>\r\nrcpt to:<me@example.org>\r\nrcpt to:<you@example.org>\r\ndata\r\nhi\r\n.\r\n"+
		"mail from:<>\r\nrcpt to:<"+strings.Repeat("x", 120)+"@example.org>\r\ndata\r\n"+strings.Repeat("x", 30)+"\r\n.\r\n"+
		"quit\r\n")
	io.Copy(io.Discard, s)
	if exit := <-s.exit; exit != 0 {
		t.Errorf("exit code %d", exit)
	}
	number := regexp.MustCompile(` qp=\d+\n`)
	got := number.ReplaceAllString(s.log.String(), " qp=N\n")
	const begin = "qmail-smtpd: 17 "
	const client = " ip=192.0.2.9 helo=a?b?? "
	want := begin + "refused-rcpt" + client + `from=joe@b.org to=x@other.test reply="553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"` + "\n" +
		begin + "accepted" + client + "from=joe@b.org to=me@example.org rcpts=2 bytes=3 qp=N\n" +
		begin + "refused" + client + "from= to=" + strings.Repeat("x", 100) + `... rcpts=1 bytes=31 reply="552 sorry, that message size exceeds my databytes limit (#5.3.4)"` + "\n" +
		begin + "end" + client + "cause=quit phase=command accepted=1 refused=1 refused-rcpt=1 seconds=0\n"
	if got != want {
		t.Errorf("log\n%s\nwant\n%s", got, want)
	}
}

// logForms are the forms of the lines that each kind of event makes.
func logForms() []*regexp.Regexp {
	const (
		field  = `[!#-\[\]-~]{0,103}`
		reply  = `"[ !#-\[\]-~]{0,103}"`
		client = ` ip=` + field + ` helo=` + field + ` `
	)
	var forms []*regexp.Regexp
	for _, form := range []string{
		`accepted` + client + `from=` + field + ` to=` + field + ` rcpts=\d+ bytes=-?\d+ qp=-?\d+`,
		`refused` + client + `from=` + field + ` to=` + field + ` rcpts=\d+ bytes=-?\d+ reply=` + reply,
		`refused-rcpt` + client + `from=` + field + ` to=` + field + ` reply=` + reply,
		`end` + client + `cause=[a-z-]+ phase=(command|data) accepted=\d+ refused=\d+ refused-rcpt=\d+ seconds=\d+`,
	} {
		forms = append(forms, regexp.MustCompile(`^qmail-smtpd: -?\d+ `+form+`\n$`))
	}
	return forms
}

// writes keeps what each call of Write wrote.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

// Nothing that a client sends breaks a line, and each is written at once.
func FuzzLogLines(f *testing.F) {
	f.Add("192.0.2.9", "dude", "a@b", "c@d", "451 no\r\nqmail-smtpd: 1 accepted", int64(5))
	f.Add("::1", "x\" reply=\"250", "\n\n", strings.Repeat("\x80", 200), "", int64(-1))
	forms := logForms()
	f.Fuzz(func(t *testing.T, ip, helo, sender, recipient, reply string, bytes int64) {
		var w writes
		l := &sessionLog{w: &w, id: int(bytes), ip: ip}
		transaction := &smtp.Transaction{Helo: helo, Sender: sender, Recipients: []string{recipient}, Bytes: bytes}
		l.Accepted(transaction, int(bytes))
		l.Refused(transaction, smtp.Reply(reply))
		l.RefusedRecipient(transaction, recipient, smtp.Reply(reply))
		l.ended(smtp.Summary{Helo: helo}, time.Second)
		if len(w) != len(forms) {
			t.Fatalf("%d writes", len(w))
		}
		for i, form := range forms {
			if !form.MatchString(w[i]) {
				t.Errorf("bad line %q", w[i])
			}
		}
	})
}

func BenchmarkLogLine(b *testing.B) {
	var w bytes.Buffer
	l := &sessionLog{w: &w, id: 1, ip: "192.0.2.9"}
	transaction := &smtp.Transaction{Helo: "client.example.com", Sender: "a@b.org", Recipients: []string{"me@example.org"}}
	b.ReportAllocs()
	for range b.N {
		w.Reset()
		l.Accepted(transaction, 1)
	}
}
