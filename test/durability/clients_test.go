//go:build durability

package durability

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"qmail-smtpd/internal/queue"
)

// errNoAnswer says that a client does not know what became of an attempt.
var errNoAnswer = errors.New("no answer")

// errTwice says that a message came out of the queue a second time.
var errTwice = errors.New("a message that was taken before")

// A refusal is the answer that an attempt failed: a code of SMTP, or of
// qmail-queue.
type refusal int

func (r refusal) Error() string { return fmt.Sprint("refused with ", int(r)) }

// temporary tells whether the client is to try again.
func (r refusal) temporary() bool { return r > 40 && r < 100 || r >= 400 && r < 500 }

// A submitter is a way in which messages come into the queue.
type submitter interface {
	// submit returns nil where the message is accepted.
	submit(*attempt) error
	// text tells whether messages must be lines.
	text() bool
}

// bySocket submits over the socket of the queue service.
type bySocket struct{ client *queue.Client }

func (s bySocket) text() bool { return false }

func (s bySocket) submit(a *attempt) error {
	submission, err := s.client.Begin()
	if err != nil {
		return err
	}
	message := a.message()
	half := len(message) / 2
	submission.Write(message[:half])
	submission.Write(message[half:])
	result := submission.Commit(queue.Envelope{Sender: a.sender, Recipients: a.recipients()})
	if result.Code != 0 {
		return refusal(result.Code)
	}
	return nil
}

// byProgram submits by qmail-queue, and may kill it.
type byProgram struct {
	path, home string
	random     *rand.Rand // nil: without kills
}

func (s byProgram) text() bool { return false }

func (s byProgram) submit(a *attempt) error {
	cmd := exec.Command(s.path)
	cmd.Env = []string{"QMAILHOME=" + s.home}
	cmd.Stdin = bytes.NewReader(a.message())
	envelope, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer envelope.Close()
	cmd.Stdout = envelope
	fmt.Fprintf(w, "F%s\x00", a.sender)
	for _, to := range a.recipients() {
		fmt.Fprintf(w, "T%s\x00", to)
	}
	w.Write([]byte{0})
	w.Close()
	if err := cmd.Start(); err != nil {
		return err
	}
	if s.random != nil && s.random.IntN(3) == 0 {
		kill := time.AfterFunc(time.Duration(s.random.IntN(10_000))*time.Microsecond, func() { cmd.Process.Kill() })
		defer kill.Stop()
	}
	cmd.Wait()
	switch code := cmd.ProcessState.ExitCode(); code {
	case 0:
		return nil
	case -1:
		return errNoAnswer
	default:
		return refusal(code)
	}
}

// bySMTP submits to an SMTP server.
type bySMTP struct {
	address string
	limit   time.Duration // of one attempt
}

func (s bySMTP) text() bool { return true }

func (s bySMTP) submit(a *attempt) error {
	err := s.talk(a)
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return refusal(reply.Code)
	}
	if err != nil {
		return errors.Join(errNoAnswer, err)
	}
	return nil
}

func (s bySMTP) talk(a *attempt) error {
	conn, err := net.DialTimeout("tcp", s.address, s.limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(s.limit))
	c, err := smtp.NewClient(conn, "mail.example.org")
	if err != nil {
		return err
	}
	if err := c.Hello("client.example.com"); err != nil {
		return err
	}
	if err := c.Mail(a.sender); err != nil {
		return err
	}
	for _, to := range a.recipients() {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(a.message()); err != nil {
		return err
	}
	return w.Close()
}

// A load is clients that submit one message after the other.
type load struct {
	ledger *ledger
	small  bool          // messages are of some bytes
	gap    time.Duration // of each client between two messages
	stop   chan struct{}
	done   sync.WaitGroup

	mu      sync.Mutex
	failed  map[string]int // how often attempts failed, by how
	lasting []error        // failures that a client would not try again after
}

func newLoad(l *ledger) *load {
	return &load{ledger: l, stop: make(chan struct{}), failed: make(map[string]int)}
}

// sizes are about how large messages are.
var sizes = []int{1, 100, 1000, 1000, 4000, 4096, 8000, 30_000, 65_000, 66_000, 200_000}

// randomSize returns a size in bytes.
func randomSize(random *rand.Rand) int {
	around := sizes[random.IntN(len(sizes))]
	return 1 + random.IntN(around) + around/2
}

// add adds a client, which ends after so many accepted messages, or with the
// load.
func (l *load) add(s submitter, seed uint64, limit int) {
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		random := rand.New(rand.NewPCG(seed, 1))
		for accepted := 0; accepted < limit; {
			select {
			case <-l.stop:
				return
			default:
			}
			size := randomSize(random)
			if l.small {
				size = 1 + size%100
			}
			a := l.ledger.begin(size, s.text())
			gap := l.gap
			if err := s.submit(a); err == nil {
				l.ledger.accept(a)
				accepted++
			} else {
				l.fail(err)
				gap = max(gap, 5*time.Millisecond) // not the whole processor
			}
			if gap == 0 {
				continue
			}
			select {
			case <-l.stop:
				return
			case <-time.After(gap):
			}
		}
	}()
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refused refusal
	switch {
	case errors.As(err, &refused):
		l.failed[refused.Error()]++
		if !refused.temporary() {
			l.lasting = append(l.lasting, err)
		}
	case errors.Is(err, errNoAnswer):
		l.failed[errNoAnswer.Error()]++
	default:
		l.lasting = append(l.lasting, err)
	}
}

// failures counts the attempts that failed.
func (l *load) failures() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, times := range l.failed {
		n += times
	}
	return n + len(l.lasting)
}

// check tells of attempts that failed in a way they must not.
func (l *load) check(t testing.TB) {
	t.Helper()
	for _, err := range l.lasting {
		t.Errorf("attempt: %v", err)
	}
	t.Logf("attempts that failed: %v", l.failed)
}

// wait waits until every client has had its messages accepted.
func (l *load) wait() { l.done.Wait() }

// finish ends the load and waits for the last attempt.
func (l *load) finish() {
	close(l.stop)
	l.done.Wait()
}
