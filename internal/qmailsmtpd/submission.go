package qmailsmtpd

import (
	"qmail-smtpd/internal/queue"
	"qmail-smtpd/internal/smtp"
	"qmail-smtpd/internal/ucspi"
)

// A submitter is the queue of one session.
type submitter struct {
	server *server
	env    *ucspi.Env
}

// Begin implements smtp.Queue.
func (s *submitter) Begin() (smtp.Submission, error) {
	begun, err := s.server.queues.Choose(s.env).Begin()
	if err != nil {
		s.server.warn("unable to submit a message", err)
		return nil, err
	}
	return submission{begun}, nil
}

type submission struct{ queue.Submission }

// Commit implements smtp.Submission.
func (s submission) Commit(sender string, recipients []string) smtp.Verdict {
	result := s.Submission.Commit(queue.Envelope{Sender: sender, Recipients: recipients})
	permanent, text := result.Reply()
	return smtp.Verdict{Accepted: result.Code == 0, Permanent: permanent, Text: text, Number: result.Number}
}
