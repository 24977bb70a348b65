package rblsmtpd

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"qmail-smtpd/internal/ucspi"
)

// greeter stands for the program of those that are let in.
type greeter struct{ args []string }

func (g greeter) Serve(ctx context.Context, c *ucspi.Conn) int {
	io.WriteString(c, strings.Join(g.args, " "))
	return 7
}

func newGreeter(args []string) (ucspi.Handler, error) { return greeter{args}, nil }

// serve has a handler serve one connection, and returns what the client got
// and the exit code.
func serve(t *testing.T, ctx context.Context, h ucspi.Handler, input string, variables ...string) (string, int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(patience))
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	exit := make(chan int, 1)
	go func() {
		defer conn.Close()
		exit <- h.Serve(ctx, &ucspi.Conn{Conn: conn, Env: ucspi.NewEnv(variables), ID: 1})
	}()
	io.WriteString(client, input)
	got, err := io.ReadAll(client)
	if err != nil {
		t.Error(err)
	}
	return string(got), <-exit
}

func TestHandler(t *testing.T) {
	nameserver := serveNames(t, testLists)
	t.Setenv("DNSCACHEIP", nameserver.ip)
	h, err := New([]string{"rblsmtpd", "-b", "-r", "list.hit", "smtpd", "-x"}, newGreeter)
	if err != nil {
		t.Fatal(err)
	}
	const turned = "220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n250 rblsmtpd.local\r\nREPLY\r\n221 rblsmtpd.local\r\n"
	for _, c := range []struct {
		variables []string
		input     string
		want      string
		exit      int
	}{
		{[]string{"TCPREMOTEIP=1.2.3.4"}, dialogue, strings.Replace(turned, "REPLY", "553 Blocked - see http://list.example/?4.3.2.1", 1), 0},
		{[]string{"TCPREMOTEIP=2001:db8::1"}, dialogue, strings.Replace(turned, "REPLY", "553 Blocked - see http://list.example/?4.3.2.1", 1), 0},
		{[]string{"TCPREMOTEIP=1.2.3.4", "RBLSMTPD=by rule"}, dialogue, strings.Replace(turned, "REPLY", "451 by rule", 1), 0},
		{[]string{"TCPREMOTEIP=1.2.3.4", "RBLSMTPD="}, "", "smtpd -x", 7},
	} {
		got, exit := serve(t, context.Background(), h, c.input, c.variables...)
		if got != c.want || exit != c.exit {
			t.Errorf("%q: %q, %d", c.variables, got, exit)
		}
	}
	if asked := nameserver.questions(); len(asked) != 2 {
		t.Errorf("asked for %q", asked)
	}
}

// TestHandlerTimeout shows that a client that says nothing is left in time.
func TestHandlerTimeout(t *testing.T) {
	h, _ := New([]string{"rblsmtpd", "-t1", "smtpd"}, newGreeter)
	if got, exit := serve(t, context.Background(), h, "", "RBLSMTPD=text"); got != "220 rblsmtpd.local\r\n" || exit != 0 {
		t.Errorf("%q, %d", got, exit)
	}
	h, _ = New([]string{"rblsmtpd", "-t0", "smtpd"}, newGreeter)
	if got, exit := serve(t, context.Background(), h, "", "RBLSMTPD=text"); got != "451 text\r\n" || exit != 0 {
		t.Errorf("%q, %d", got, exit)
	}
}

// TestHandlerStops shows that a client that is turned away does not keep the
// server from stopping.
func TestHandlerStops(t *testing.T) {
	h, _ := New([]string{"rblsmtpd", "smtpd"}, newGreeter)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if got, exit := serve(t, ctx, h, "", "RBLSMTPD=text"); got != "220 rblsmtpd.local\r\n" || exit != 0 {
		t.Errorf("%q, %d", got, exit)
	}
}

// TestNotBuiltin shows which command lines are left to the command.
func TestNotBuiltin(t *testing.T) {
	foreign := func([]string) (ucspi.Handler, error) { return nil, ucspi.ErrNotBuiltin }
	for _, args := range [][]string{{"rblsmtpd"}, {"rblsmtpd", "-z", "smtpd"}} {
		if _, err := New(args, newGreeter); !errors.Is(err, ucspi.ErrNotBuiltin) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := New([]string{"rblsmtpd", "smtpd"}, foreign); !errors.Is(err, ucspi.ErrNotBuiltin) {
		t.Error(err)
	}
}
