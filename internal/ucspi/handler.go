package ucspi

import (
	"context"
	"errors"
	"net"
)

// A Conn is one accepted connection as the program that serves it sees it.
type Conn struct {
	net.Conn
	Env *Env // the variables that a program would find in its environment
	ID  int  // unique in this server; stands in log lines where a process has its pid
}

// A Handler serves connections inside the server's own process, in place of a
// program that would be executed for each.
type Handler interface {
	// Serve serves one connection and returns the exit code that the program
	// would have had. It does not close c. When ctx is done the server wants
	// to stop: Serve then ends an idle session at once and lets work in
	// transfer finish; the server closes c when it has waited long enough.
	Serve(ctx context.Context, c *Conn) (exit int)
}

// A Refuser is a Handler that has words for a client that the server does not
// serve at the moment, because of a limit.
type Refuser interface {
	// Busy returns what to tell the client, a line without its end.
	Busy() string
}

// A Builtin makes the Handler for a command line, whose args[0] is the name
// of the program.
type Builtin func(args []string) (Handler, error)

// A Filter makes the Handler for a command line that goes on with that of
// another program, such as "recordio qmail-smtpd". next makes the Handler for
// the rest of it.
type Filter func(args []string, next Builtin) (Handler, error)

// ErrNotBuiltin is the error of a Builtin or Filter for a command line that
// has to be executed.
var ErrNotBuiltin = errors.New("not built in")
