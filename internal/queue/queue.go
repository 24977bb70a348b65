// Package queue takes messages for delivery: into qmail's queue on disk, by
// the queue service's socket, or by a program with qmail-queue's interface.
//
// A message accepted with code 0 is durable. The package knows no SMTP beyond
// the texts of replies, delivers nothing, and never changes a message that is
// in the queue.
package queue

import "io"

// A Queue takes messages. It is safe for concurrent use.
type Queue interface {
	// Begin opens a submission. An error means that nothing can be submitted
	// now, and why; the client is to try again later.
	Begin() (Submission, error)
}

// A Submission is one message on its way into the queue. Exactly one of
// Commit and Abandon ends it. It is not safe for concurrent use.
type Submission interface {
	// Write adds to the message, whose lines end in LF. It never fails in
	// the middle: a failure is remembered and told by Commit.
	io.Writer
	// Number is the "qp" of the queue's own Received line, where it is known
	// before the end; else 0, and Result.Number tells it.
	Number() int
	// Commit submits the message with its envelope and says how it went.
	Commit(Envelope) Result
	// Abandon drops the message; nothing of it is delivered.
	Abandon()
}

// An Envelope says from whom and to whom a message goes. Addresses are bytes
// without NUL; an empty Sender is the null sender.
type Envelope struct {
	Sender     string
	Recipients []string
}

// A Result is what became of a submission.
type Result struct {
	Code   int    // exit code of qmail-queue's table; 0: the message is durable; negative: see below
	Text   string // what the queue program wrote to descriptor 6, at most 255 bytes
	Number int    // for code 0: the number in the queue's own Received line
}

// Codes for what happens to a queue program beside exiting.
const (
	Crashed      = -1 // killed by a signal
	WaitFailed   = -2 // its end could not be learnt
	NotSubmitted = -3 // no process or pipe for it could be had
)
