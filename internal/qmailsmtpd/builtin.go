package qmailsmtpd

import (
	"context"
	"os"

	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/smtp"
	"qmail-smtpd/internal/ucspi"
)

// New is the ucspi.Builtin of qmail-smtpd: it makes the Handler that serves
// all the connections of a process. Control files that cannot be read are no
// error of New: as long as they cannot, clients are told to come again.
func New(args []string) (ucspi.Handler, error) {
	s := newServer(control.Home(), os.Stderr)
	s.config() // for its warnings
	return builtin{s}, nil
}

type builtin struct{ server *server }

// Serve implements ucspi.Handler.
func (b builtin) Serve(ctx context.Context, c *ucspi.Conn) (exit int) {
	conn := &socket{conn: c.Conn}
	defer context.AfterFunc(ctx, conn.stop)()
	return b.server.serve(conn, c.Env, c.ID)
}

// Busy implements ucspi.Refuser.
func (b builtin) Busy() string { return string(smtp.Busy) }
