package smtp

import (
	"errors"
	"io"
	"time"
)

// A Config is one session to be served: the client, the settings, and what
// the session asks for.
type Config struct {
	Conn   Conn
	Policy Policy
	Queue  Queue
	Log    Log
	Now    func() time.Time

	// Greeting follows 220, and names this host in the replies to HELO, EHLO
	// and QUIT.
	Greeting string
	// DataBytes is how many bytes of a message are stored at most; 0 is
	// without limit.
	DataBytes uint32
	// RelayClient, where not nil, lets this client send to every domain, and
	// is appended to each of its recipients.
	RelayClient *string
	Peer        Peer
}

// A Peer is what the Received line says about the connection.
type Peer struct {
	RemoteIP   string
	RemoteHost string
	RemoteInfo *string // the user name that the client's host gave; nil: none asked for
	LocalHost  string
}

// A Conn is the connection to the client. An error for which
// errors.Is(err, os.ErrDeadlineExceeded) holds says that the client was
// silent for too long.
type Conn interface {
	io.ReadWriter
	// ReadIdle is Read at a moment when the session may end without loss:
	// when the server wants to stop it returns ErrStopping, at once.
	ReadIdle(p []byte) (int, error)
}

// ErrStopping says that the server wants to stop.
var ErrStopping = errors.New("server is stopping")

// A Policy decides about addresses. Its errors end the session.
type Policy interface {
	// AcceptsRecipient tells whether mail for address is taken from any
	// client. An error is a control file that cannot be read.
	AcceptsRecipient(address string) (bool, error)
	// RefusesSender tells whether mail from address is refused.
	RefusesSender(address string) bool
	// LocalName returns the host name that stands for the address literal
	// ip, where that is an address of this host; ok is false where it is not,
	// or where there is no such name. An error says that the addresses of
	// this host cannot be had.
	LocalName(ip [4]byte) (name string, ok bool, err error)
}

// A Queue takes messages.
type Queue interface {
	// Begin opens a submission. An error means that nothing can be submitted
	// now.
	Begin() (Submission, error)
}

// A Submission is one message on its way into the queue. Exactly one of
// Commit and Abandon ends it.
type Submission interface {
	// Write adds to the message, whose lines end in LF. A failure is told by
	// Commit.
	io.Writer
	// Commit submits the message with its envelope. It keeps no reference to
	// recipients.
	Commit(sender string, recipients []string) Verdict
	// Abandon drops the message.
	Abandon()
}

// A Verdict is what became of a submission.
type Verdict struct {
	Accepted  bool
	Permanent bool   // of a refusal: trying again is of no use
	Text      string // of a refusal: what to tell the client; control bytes become "?"
	Number    int    // the number under which it was queued
}

// A Log is told what the session decides. Everything in a Transaction, and
// each recipient, is what the client sent and may hold any byte but NUL and
// LF.
type Log interface {
	// Accepted: the message is in the queue, under number.
	Accepted(t *Transaction, number int)
	// Refused: the message after DATA was refused with reply.
	Refused(t *Transaction, reply Reply)
	// RefusedRecipient: the recipient was refused with reply.
	RefusedRecipient(t *Transaction, recipient string, reply Reply)
}

// A Transaction is one message so far.
type Transaction struct {
	Helo       string // argument of the last HELO or EHLO
	Sender     string
	Recipients []string
	Bytes      int64 // stored of the message, without the Received line
}

// A Summary is how a session went.
type Summary struct {
	Cause             Cause
	InData            bool   // it ended while a message was being transferred
	Helo              string // argument of the last HELO or EHLO
	Accepted          int    // messages
	Refused           int    // messages
	RefusedRecipients int
}

// A Cause says why a session ended.
type Cause int

const (
	Quit       Cause = iota // the client said QUIT
	Closed                  // the client closed the connection, or it broke
	TimedOut                // the client was silent for too long
	BareLF                  // a line of a message ended in LF without CR
	Stopping                // the server stops
	LocalError              // a control file or the own addresses could not be read
)

var causes = [...]string{"quit", "closed", "timeout", "bare-lf", "stopping", "local-error"}

func (c Cause) String() string {
	return causes[c]
}
