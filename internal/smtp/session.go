package smtp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
)

const (
	// maxLine is how much of a command line is looked at, without its end.
	maxLine = 4096
	// maxEnvelope bounds what the recipients of one message may take.
	maxEnvelope = 16 << 20
	// recipientCost is what a recipient takes beside its bytes.
	recipientCost = 32
	// maxHops is how many hops make a message a looping one.
	maxHops = 100

	smallBuffer = 1024
	largeBuffer = 64 << 10
)

// largeBuffers are for messages in transfer: a session that waits for a
// command holds none.
var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

type session struct {
	*Config
	summary Summary

	// Input that was read and not used yet is in[start:end]. The buffer is
	// small, or large.
	in         []byte
	start, end int
	small      [smallBuffer]byte
	large      *[largeBuffer]byte
	long       []byte // beginning of a line that did not fit into in

	out      []byte // replies that were not sent yet
	outSpace [512]byte

	helloSaid    bool
	inMail       bool // MAIL was accepted
	senderBad    bool
	envelopeSize int // what the recipients take
	transaction  Transaction
}

var (
	// errEnded says that the session is over for a reason that is in the
	// summary already.
	errEnded = errors.New("session is over")
	// errUnwritable says that replies do not reach the client any more.
	errUnwritable = errors.New("unable to write to the client")
)

// Serve holds a session, from the greeting to its end.
func Serve(config *Config) Summary {
	s := &session{Config: config}
	s.in = s.small[:]
	s.out = s.outSpace[:0]
	err := s.serve()
	switch {
	case err == errEnded:
	case errors.Is(err, ErrStopping):
		s.summary.Cause = Stopping
		s.reply(closing(s.Greeting))
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.summary.Cause = TimedOut
		s.reply(replyTimeout)
	default:
		s.summary.Cause = Closed
	}
	s.releaseLarge()
	s.summary.Helo = s.transaction.Helo
	return s.summary
}

func (s *session) serve() error {
	if err := s.reply("220 " + Reply(s.Greeting) + " ESMTP"); err != nil {
		return err
	}
	for {
		line, tooLong, err := s.readLine()
		if err != nil {
			return err
		}
		if err := s.command(line, tooLong); err != nil {
			return err
		}
	}
}

// command obeys one command line. An error ends the session.
func (s *session) command(line []byte, tooLong bool) error {
	word, argument, _ := bytes.Cut(line, []byte(" "))
	argument = bytes.TrimLeft(argument, " ")
	var verb [4]byte
	if len(word) == len(verb) {
		for i, b := range word {
			verb[i] = lower(b)
		}
	}
	switch string(verb[:]) {
	case "mail":
		if tooLong {
			return s.replyLater(replySyntax)
		}
		return s.mail(argument)
	case "rcpt":
		return s.rcpt(argument, tooLong)
	case "data":
		return s.data()
	case "helo":
		s.hello(argument)
		return s.reply("250 " + Reply(s.Greeting))
	case "ehlo":
		s.hello(argument)
		return s.reply("250-"+Reply(s.Greeting), "250-PIPELINING", "250 8BITMIME")
	case "rset":
		s.reset()
		return s.replyLater(replyFlushed)
	case "noop":
		return s.reply(replyOK)
	case "help":
		return s.reply(replyHelp)
	case "vrfy":
		return s.reply(replyVrfy)
	case "quit":
		s.summary.Cause = Quit
		if err := s.reply("221 " + Reply(s.Greeting)); err != nil {
			return err
		}
		return errEnded
	}
	return s.reply(replyUnimplemented)
}

// reset drops the transaction.
func (s *session) reset() {
	s.inMail = false
	s.transaction.Recipients = nil
}

func (s *session) hello(argument []byte) {
	s.reset()
	s.transaction.Helo = string(argument)
	s.helloSaid = true
}

func (s *session) mail(argument []byte) error {
	address, err := s.address(argument)
	if err != nil {
		return err
	}
	if len(address) > maxAddress {
		return s.replyLater(replySyntax)
	}
	s.inMail = true
	s.transaction.Sender = string(address)
	s.transaction.Recipients = nil
	s.envelopeSize = 0
	s.senderBad = s.Policy.RefusesSender(s.transaction.Sender)
	return s.replyLater(replyOK)
}

func (s *session) rcpt(argument []byte, tooLong bool) error {
	if !s.inMail {
		return s.replyLater(replyMailFirst)
	}
	if tooLong {
		return s.refuseRecipient(string(argument), replySyntax)
	}
	parsed, err := s.address(argument)
	if err != nil {
		return err
	}
	if len(parsed) > maxAddress {
		return s.refuseRecipient(string(parsed), replySyntax)
	}
	address := string(parsed)
	if s.senderBad {
		return s.refuseRecipient(address, replyBadSender)
	}
	if s.RelayClient != nil {
		address += *s.RelayClient
	} else {
		accepted, err := s.Policy.AcceptsRecipient(address)
		if err != nil {
			return s.fail(UnreadableControls)
		}
		if !accepted {
			return s.refuseRecipient(address, replyNotMyDomain)
		}
	}
	size := len(address) + recipientCost
	if size > maxEnvelope-s.envelopeSize {
		return s.refuseRecipient(address, replyTooMany)
	}
	s.envelopeSize += size
	s.transaction.Recipients = append(s.transaction.Recipients, address)
	return s.replyLater(replyOK)
}

func (s *session) refuseRecipient(address string, reply Reply) error {
	s.summary.RefusedRecipients++
	s.Log.RefusedRecipient(&s.transaction, address, reply)
	return s.replyLater(reply)
}

// address parses the argument of MAIL or RCPT, and puts a host name in place
// of a literal of one of this host's own addresses.
func (s *session) address(argument []byte) ([]byte, error) {
	address := parseAddress(argument)
	if ip, start, ok := parseLiteral(address); ok {
		name, local, err := s.Policy.LocalName(ip)
		if err != nil {
			return nil, s.fail(unknownAddresses)
		}
		if local {
			address = append(address[:start], name...)
		}
	}
	return address, nil
}

func (s *session) data() error {
	if !s.inMail {
		return s.reply(replyMailFirst)
	}
	if len(s.transaction.Recipients) == 0 {
		return s.reply(replyRcptFirst)
	}
	s.inMail = false
	s.transaction.Bytes = 0
	submission, err := s.Queue.Begin()
	if err != nil {
		return s.refuseMessage(replyNoQueue)
	}
	if err := s.replyLater(replyGoAhead); err != nil {
		submission.Abandon()
		return err
	}
	submission.Write(s.received())
	reply, err := s.receive(submission)
	if err != nil {
		submission.Abandon()
		return err
	}
	if reply != "" {
		submission.Abandon()
		return s.refuseMessage(reply)
	}
	verdict := submission.Commit(s.transaction.Sender, s.transaction.Recipients)
	if !verdict.Accepted {
		return s.refuseMessage(refusal(verdict))
	}
	s.summary.Accepted++
	// The client first: it would send the message again if it had to wait for
	// a log that is full.
	err = s.reply(queued(s.Now().Unix(), verdict.Number))
	s.Log.Accepted(&s.transaction, verdict.Number)
	s.transaction.Recipients = nil
	return err
}

func (s *session) refuseMessage(reply Reply) error {
	s.summary.Refused++
	s.Log.Refused(&s.transaction, reply)
	s.transaction.Recipients = nil
	return s.reply(reply)
}

// receive copies the message that follows DATA to w, as far as it is to be
// stored. A reply says why the message, which came to its end, is refused.
func (s *session) receive(w io.Writer) (refused Reply, err error) {
	s.summary.InData = true
	s.takeLarge()
	var b body
	limit := int64(s.DataBytes)
	for {
		stored, taken, status := b.decode(s.in[s.start:s.end])
		keep := int64(stored)
		if limit > 0 {
			keep = min(keep, max(limit-s.transaction.Bytes, 0))
		}
		if keep > 0 {
			w.Write(s.in[s.start:][:keep])
		}
		s.transaction.Bytes += int64(stored)
		s.start += taken
		switch status {
		case bodyBareLF:
			s.summary.Cause = BareLF
			if err := s.refuseMessage(replyBareLF); err != nil {
				return "", err
			}
			return "", errEnded
		case bodyEnded:
			s.summary.InData = false
			switch {
			case b.hops >= maxHops:
				return replyTooManyHops, nil
			case limit > 0 && s.transaction.Bytes > limit:
				return replyTooBig, nil
			}
			return "", nil
		}
		if err := s.fill(); err != nil {
			return "", err
		}
	}
}

// fail ends the session for a reason of this host's.
func (s *session) fail(reply Reply) error {
	s.summary.Cause = LocalError
	if err := s.reply(reply); err != nil {
		return err
	}
	return errEnded
}

// readLine reads a command line. It is good until the next read; what lies
// behind a NUL is left out, and tooLong says that it is only the beginning.
func (s *session) readLine() (line []byte, tooLong bool, err error) {
	s.long = nil
	for {
		piece := s.in[s.start:s.end]
		lf := bytes.IndexByte(piece, '\n')
		if lf >= 0 {
			piece = piece[:lf]
		}
		s.start += len(piece)
		// Two bytes more than maxLine tell a line with CR at its end from
		// one that is too long.
		piece = piece[:min(len(piece), maxLine+2-len(s.long))]
		if lf >= 0 {
			s.start++
			line = piece
			if s.long != nil {
				line = append(s.long, piece...)
			}
			break
		}
		s.long = append(s.long, piece...)
		if err := s.fill(); err != nil {
			return nil, false, err
		}
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	tooLong = len(line) > maxLine
	line, _, _ = bytes.Cut(line, []byte("\x00"))
	return line, tooLong, nil
}

// fill sends the replies that wait and reads more input.
func (s *session) fill() error {
	if err := s.flush(); err != nil {
		return err
	}
	if s.start > 0 {
		s.end = copy(s.in, s.in[s.start:s.end])
		s.start = 0
	}
	if s.end == 0 && !s.summary.InData {
		s.releaseLarge()
	}
	for {
		n, err := s.read(s.in[s.end:])
		if n > 0 {
			s.end += n
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) read(p []byte) (int, error) {
	if s.summary.InData {
		return s.Conn.Read(p)
	}
	return s.Conn.ReadIdle(p)
}

func (s *session) takeLarge() {
	if s.large == nil {
		s.large = largeBuffers.Get().(*[largeBuffer]byte)
		s.end = copy(s.large[:], s.in[s.start:s.end])
		s.start = 0
		s.in = s.large[:]
	}
}

// releaseLarge gives the large buffer back. Input that it holds is lost.
func (s *session) releaseLarge() {
	if s.large != nil {
		largeBuffers.Put(s.large)
		s.large = nil
		s.in = s.small[:]
		s.start, s.end = 0, 0
	}
}

// reply sends replies, and those that wait before them.
func (s *session) reply(replies ...Reply) error {
	for _, reply := range replies {
		s.out = append(append(s.out, reply...), "\r\n"...)
	}
	return s.flush()
}

// replyLater sends a reply not later than before the next wait for input.
func (s *session) replyLater(reply Reply) error {
	if len(s.out)+len(reply)+2 > len(s.outSpace) {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.out = append(append(s.out, reply...), "\r\n"...)
	return nil
}

func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.out)
	s.out = s.outSpace[:0]
	if err != nil {
		return errUnwritable
	}
	return nil
}
