package qmailsmtpd

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/queue"
	"qmail-smtpd/internal/smtp"
	"qmail-smtpd/internal/ucspi"
)

// A server is what all the sessions of a process share.
type server struct {
	directory *control.Directory
	queues    *queue.Chooser
	addresses interfaces
	log       io.Writer // gets whole lines
	now       func() time.Time
	openRelay atomic.Bool // the warning was written
}

func newServer(home string, log io.Writer) *server {
	return &server{
		directory: control.NewDirectory(home),
		queues:    queue.NewChooser(home),
		log:       log,
		now:       time.Now,
	}
}

// A client is a connection whose reads and writes take a bounded time.
type client interface {
	smtp.Conn
	setTimeout(time.Duration)
}

// serve holds a session and returns the exit code of qmail-smtpd.
func (s *server) serve(conn client, env *ucspi.Env, id int) int {
	start := s.now()
	log := &sessionLog{w: s.log, id: id, ip: lookup(env, "unknown", "TCPREMOTEIP")}
	config, err := s.config()
	if err != nil {
		conn.setTimeout(control.DefaultTimeout)
		io.WriteString(conn, string(smtp.UnreadableControls)+"\r\n")
		log.ended(smtp.Summary{Cause: smtp.LocalError}, s.now().Sub(start))
		return 1
	}
	conn.setTimeout(config.Timeout)
	summary := smtp.Serve(&smtp.Config{
		Conn:        conn,
		Policy:      &policy{Config: config, server: s, localIP: lookup(env, "", "TCPLOCALIP")},
		Queue:       &submitter{server: s, env: env},
		Log:         log,
		Now:         s.now,
		Greeting:    config.Greeting,
		DataBytes:   dataBytes(config, env),
		RelayClient: optional(env, "RELAYCLIENT"),
		Peer: smtp.Peer{
			RemoteIP:   log.ip,
			RemoteHost: lookup(env, "unknown", "TCPREMOTEHOST"),
			RemoteInfo: optional(env, "TCPREMOTEINFO"),
			LocalHost:  lookup(env, "unknown", "TCPLOCALHOST", "TCPLOCALIP"),
		},
	})
	log.ended(summary, s.now().Sub(start))
	if summary.Cause == smtp.Quit {
		return 0
	}
	return 1
}

// config reads the control files, and warns of what an administrator should
// know of them.
func (s *server) config() (*control.Config, error) {
	config, err := s.directory.Config()
	if err != nil {
		s.unreadable(err)
		return nil, err
	}
	if s.openRelay.Swap(config.OpenRelay) != config.OpenRelay && config.OpenRelay {
		s.warn("no control/rcpthosts: mail for every domain is accepted", nil)
	}
	return config, nil
}

func (s *server) unreadable(err error) {
	what := "unable to read controls"
	var path *fs.PathError
	if errors.As(err, &path) {
		what = "unable to read " + path.Path
	}
	s.warn(what, err)
}

func (s *server) warn(what string, err error) {
	line := "qmail-smtpd: warning: " + what
	if err != nil {
		line += ": " + command.ErrText(err)
	}
	io.WriteString(s.log, line+"\n")
}

// lookup returns the first of the variables that is set, or otherwise.
func lookup(env *ucspi.Env, otherwise string, names ...string) string {
	for _, name := range names {
		if value, ok := env.Lookup(name); ok {
			return value
		}
	}
	return otherwise
}

// optional returns a variable, or nil where it is not set.
func optional(env *ucspi.Env, name string) *string {
	if value, ok := env.Lookup(name); ok {
		return &value
	}
	return nil
}

func dataBytes(config *control.Config, env *ucspi.Env) uint32 {
	value, ok := env.Lookup("DATABYTES")
	if !ok {
		return config.DataBytes
	}
	number, _ := command.ScanNumber(value)
	return control.DataBytes(number)
}
