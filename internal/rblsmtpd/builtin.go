package rblsmtpd

import (
	"context"
	"net"
	"time"

	"qmail-smtpd/internal/inet"
	"qmail-smtpd/internal/ucspi"
)

// New is the ucspi.Filter of rblsmtpd: it makes the Handler that turns the
// listed away and leaves all others to the handler of the program that the
// command line names. A wrong command line is left to the command.
func New(args []string, next ucspi.Builtin) (ucspi.Handler, error) {
	o, ok := parse(args)
	if !ok {
		return nil, ucspi.ErrNotBuiltin
	}
	program, err := next(o.program)
	if err != nil {
		return nil, err
	}
	return &filter{o, inet.NewResolver(), program}, nil
}

type filter struct {
	*options
	resolver *net.Resolver
	program  ucspi.Handler
}

// Serve implements ucspi.Handler. A client that is turned away is left at
// once when the server stops.
func (f *filter) Serve(ctx context.Context, c *ucspi.Conn) (exit int) {
	reply, rejected := f.judge(ctx, f.resolver, c.Env.Lookup)
	if !rejected {
		return f.program.Serve(ctx, c)
	}
	ip, _ := c.Env.Lookup("TCPREMOTEIP")
	logRejection(ip, c.ID, reply)
	if limit := f.limit(); limit > 0 {
		c.SetDeadline(time.Now().Add(limit))
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	f.reject(c, reply)
	return 0
}
