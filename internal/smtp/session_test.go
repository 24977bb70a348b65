package smtp

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// A world is all that a session asks for, kept in memory.
type world struct {
	in        io.Reader
	stopAt    int // ReadIdle says ErrStopping at this call; 0: never
	idleReads int
	out       bytes.Buffer
	writes    []string

	addressErr error
	rcptErr    error
	queueErr   error
	verdict    Verdict
	messages   []message
	lines      []string
}

type message struct {
	text, sender string
	recipients   []string
	abandoned    bool
}

func (w *world) Read(p []byte) (int, error) { return w.in.Read(p) }

func (w *world) ReadIdle(p []byte) (int, error) {
	if w.idleReads++; w.idleReads == w.stopAt {
		return 0, ErrStopping
	}
	return w.in.Read(p)
}

func (w *world) Write(p []byte) (int, error) {
	w.writes = append(w.writes, string(p))
	return w.out.Write(p)
}

func (w *world) AcceptsRecipient(address string) (bool, error) {
	return !strings.HasSuffix(address, "@other.test"), w.rcptErr
}

func (w *world) RefusesSender(address string) bool { return address == "bad@b.test" }

func (w *world) LocalName(ip [4]byte) (string, bool, error) {
	return "me.test", ip == [4]byte{127, 0, 0, 1}, w.addressErr
}

func (w *world) Begin() (Submission, error) {
	if w.queueErr != nil {
		return nil, w.queueErr
	}
	return &memory{world: w}, nil
}

func (w *world) Accepted(t *Transaction, number int) {
	if !strings.HasSuffix(w.out.String(), fmt.Sprintf(" qp %d\r\n", number)) {
		w.lines = append(w.lines, "logged before the client was told")
	}
	w.lines = append(w.lines, fmt.Sprintf("accepted %s %d %d %d", t.Sender, len(t.Recipients), t.Bytes, number))
}

func (w *world) Refused(t *Transaction, reply Reply) {
	w.lines = append(w.lines, fmt.Sprintf("refused %s %d %d %s", t.Sender, len(t.Recipients), t.Bytes, reply))
}

func (w *world) RefusedRecipient(t *Transaction, recipient string, reply Reply) {
	w.lines = append(w.lines, fmt.Sprintf("refused-rcpt %s %s %s", t.Sender, recipient, reply))
}

type memory struct {
	world *world
	bytes.Buffer
	ended bool
}

func (m *memory) Commit(sender string, recipients []string) Verdict {
	m.end(message{text: m.String(), sender: sender, recipients: recipients})
	return m.world.verdict
}

func (m *memory) Abandon() { m.end(message{text: m.String(), abandoned: true}) }

func (m *memory) end(result message) {
	if m.ended {
		panic("a submission ended twice")
	}
	m.ended = true
	m.world.messages = append(m.world.messages, result)
}

// session serves input and returns how it went.
func (w *world) session(in io.Reader, change func(*Config)) Summary {
	w.in = in
	if w.verdict == (Verdict{}) {
		w.verdict = Verdict{Accepted: true, Number: 7}
	}
	config := &Config{
		Conn: w, Policy: w, Queue: w, Log: w,
		Now:      func() time.Time { return time.Unix(1112493660, 0) },
		Greeting: "me.test",
		Peer:     Peer{RemoteIP: "192.0.2.9", RemoteHost: "client.test", LocalHost: "me.test"},
	}
	if change != nil {
		change(config)
	}
	return Serve(config)
}

const (
	greeting     = "220 me.test ESMTP\r\n"
	transaction  = "mail from:<a@b.test>\r\nrcpt to:<c@d.test>\r\ndata\r\n"
	goAhead      = "250 ok\r\n250 ok\r\n354 go ahead\r\n"
	queuedAs7    = "250 ok 1112493660 qp 7\r\n"
	receivedLine = "Received: from client.test (192.0.2.9)\n  by me.test with SMTP; 3 Apr 2005 02:01:00 -0000\n"
)

func TestReplies(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name   string
		world  world
		change func(*Config)
		in     string
		out    string
		cause  Cause
		lines  []string
	}{
		{name: "message", in: transaction + "x\r\n.\r\nquit\r\n",
			out: greeting + goAhead + queuedAs7 + "221 me.test\r\n", cause: Quit,
			lines: []string{"accepted a@b.test 1 2 7"}},
		{name: "help", in: "help\r\n", out: greeting + "214 qmail-smtpd for systemd: see qmail-smtpd(8)\r\n", cause: Closed},
		{name: "long lines", in: "noop " + long + "\r\nmail from:<a@b>" + long + "\r\nmail from:<>\r\nrcpt to:<" + long + "\r\n" + long + "\r\nhelo " + long + "\r\n",
			out:   greeting + "250 ok\r\n555 syntax error (#5.5.4)\r\n250 ok\r\n555 syntax error (#5.5.4)\r\n502 unimplemented (#5.5.1)\r\n250 me.test\r\n",
			cause: Closed, lines: []string{"refused-rcpt  to:<" + long[:maxLine+2-9] + " 555 syntax error (#5.5.4)"}},
		{name: "silence", world: world{}, in: "timeout", out: greeting + "451 timeout (#4.4.2)\r\n", cause: TimedOut},
		{name: "no queue", world: world{queueErr: io.ErrClosedPipe}, in: transaction + "noop\r\n",
			out: greeting + "250 ok\r\n250 ok\r\n451 qqt failure (#4.3.0)\r\n250 ok\r\n", cause: Closed,
			lines: []string{"refused a@b.test 1 0 451 qqt failure (#4.3.0)"}},
		{name: "queue text with control bytes", world: world{verdict: Verdict{Permanent: true, Text: "no\r\n250\x7fok\xe9"}},
			in:  transaction + ".\r\n",
			out: greeting + goAhead + "554 no??250?ok\xe9\r\n", cause: Closed,
			lines: []string{"refused a@b.test 1 0 554 no??250?ok\xe9"}},
		{name: "controls", world: world{rcptErr: io.ErrUnexpectedEOF}, in: "mail <>\r\nrcpt <a@b>\r\nquit\r\n",
			out: greeting + "250 ok\r\n421 unable to read controls (#4.3.0)\r\n", cause: LocalError},
		{name: "own addresses", world: world{addressErr: io.ErrUnexpectedEOF}, in: "mail <a@[1.2.3.4]>\r\nquit\r\n",
			out: greeting + "421 unable to figure out my IP addresses (#4.3.0)\r\n", cause: LocalError},
		{name: "stopping at once", world: world{stopAt: 1}, in: "quit\r\n",
			out: greeting + "421 me.test closing, try again (#4.3.2)\r\n", cause: Stopping},
		{name: "stopping after a message", world: world{stopAt: 2}, in: transaction + "x\r\n.\r\nnoop\r\n",
			out: greeting + goAhead + queuedAs7 + "250 ok\r\n421 me.test closing, try again (#4.3.2)\r\n", cause: Stopping,
			lines: []string{"accepted a@b.test 1 2 7"}},
		{name: "bare LF", in: transaction + "x\nquit\r\n",
			out: greeting + goAhead + "451 See https://cr.yp.to/docs/smtplf.html.\r\n", cause: BareLF,
			lines: []string{"refused a@b.test 1 0 451 See https://cr.yp.to/docs/smtplf.html."}},
		{name: "relay client", change: func(c *Config) { c.RelayClient = new(string) },
			in: "mail <>\r\nrcpt <x@other.test>\r\n", out: greeting + "250 ok\r\n250 ok\r\n", cause: Closed},
		{name: "local literal", in: "mail <>\r\nrcpt <x@other.test>\r\nrcpt <x@[127.0.0.1]>\r\ndata\r\n.\r\n",
			out: greeting + "250 ok\r\n553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n250 ok\r\n354 go ahead\r\n" + queuedAs7, cause: Closed,
			lines: []string{"refused-rcpt  x@other.test 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "accepted  1 0 7"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := &test.world
			var in io.Reader = strings.NewReader(test.in)
			if test.in == "timeout" {
				in = silent{}
			}
			summary := w.session(in, test.change)
			if got := w.out.String(); got != test.out {
				t.Errorf("replies\n%q, want\n%q", got, test.out)
			}
			if summary.Cause != test.cause {
				t.Errorf("ended by %v, want %v", summary.Cause, test.cause)
			}
			if got, want := strings.Join(w.lines, "\n"), strings.Join(test.lines, "\n"); got != want {
				t.Errorf("log\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A silent client never sends anything.
type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// Replies to MAIL, RCPT and RSET wait until the session has to; all others
// go out at once.
func TestFlush(t *testing.T) {
	w := &world{}
	w.session(strings.NewReader("mail <>\r\nrcpt <a>\r\nrset\r\nmail <>\r\nrcpt <a>\r\nnoop\r\nrcpt <a>\r\ndata\r\n"), nil)
	want := []string{
		greeting,
		"250 ok\r\n250 ok\r\n250 flushed\r\n250 ok\r\n250 ok\r\n250 ok\r\n",
		"250 ok\r\n354 go ahead\r\n",
	}
	if got := strings.Join(w.writes, "|"); got != strings.Join(want, "|") {
		t.Errorf("writes %q, want %q", w.writes, want)
	}
}

func TestEnvelopeIsBounded(t *testing.T) {
	var in bytes.Buffer
	in.WriteString("mail <>\r\n")
	address := strings.Repeat("x", maxAddress)
	fit := maxEnvelope / (maxAddress + recipientCost)
	for range fit + 1 {
		in.WriteString("rcpt <" + address + ">\r\n")
	}
	in.WriteString("rcpt <x>\r\ndata\r\n.\r\nmail <>\r\nrcpt <" + address + ">\r\n")
	w := &world{}
	summary := w.session(&in, nil)
	tooMany := "452 too many recipients (#4.5.3)\r\n"
	want := greeting + strings.Repeat("250 ok\r\n", 1+fit) + tooMany + "250 ok\r\n354 go ahead\r\n" + queuedAs7 + "250 ok\r\n250 ok\r\n"
	if got := w.out.String(); got != want {
		t.Errorf("%d bytes of replies, want %d; the end is %q", len(got), len(want), got[max(0, len(got)-200):])
	}
	if len(w.messages) != 1 || len(w.messages[0].recipients) != fit+1 || summary.RefusedRecipients != 1 {
		t.Errorf("%d messages, refused %d", len(w.messages), summary.RefusedRecipients)
	}
}

// A client to which nothing can be written is not served on.
func TestUnwritable(t *testing.T) {
	w := &world{}
	summary := w.session(strings.NewReader("quit\r\n"), func(c *Config) { c.Conn = unwritable{w} })
	if summary.Cause != Closed {
		t.Errorf("ended by %v", summary.Cause)
	}
	w = &world{}
	w.session(strings.NewReader(transaction), func(c *Config) { c.Conn = &unwritableFrom{world: w, from: "354"} })
	if len(w.messages) != 1 || !w.messages[0].abandoned {
		t.Errorf("messages %v, want one that is abandoned", w.messages)
	}
}

type unwritable struct{ *world }

func (unwritable) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

type unwritableFrom struct {
	*world
	from string
}

func (u *unwritableFrom) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(u.from)) {
		return 0, os.ErrDeadlineExceeded
	}
	return u.world.Write(p)
}
