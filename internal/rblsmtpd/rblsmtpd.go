package rblsmtpd

import (
	"context"
	"io"
	"os"
	"strconv"
	"time"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/inet"
)

// Main is the command rblsmtpd: it turns the client on descriptors 0 and 1
// away, or becomes the program that serves it.
func Main(args []string) int {
	o, ok := parse(args)
	if !ok {
		return command.ExitUsage
	}
	reply, rejected := o.judge(context.Background(), inet.NewResolver(), os.LookupEnv)
	if !rejected {
		err := command.Exec(o.program, os.Environ())
		return command.Fatal("rblsmtpd", "unable to run "+o.program[0], err)
	}
	logRejection(os.Getenv("TCPREMOTEIP"), os.Getpid(), reply)
	if limit := o.limit(); limit > 0 {
		time.AfterFunc(limit, func() { os.Exit(0) })
	}
	o.reject(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}, reply)
	return 0
}

// reject turns a client away, at once where there is to be no dialogue.
func (o *options) reject(client io.ReadWriter, reply string) {
	if o.timeout == 0 {
		io.WriteString(client, reply+"\r\n")
		return
	}
	turnAway(client, reply)
}

// limit is how long a dialogue may take, 0 for ever. Of the number on the
// command line only 32 bits count.
func (o *options) limit() time.Duration {
	return time.Duration(uint32(o.timeout)) * time.Second
}

// logRejection writes the line of the log about a client.
func logRejection(ip string, id int, reply string) {
	os.Stderr.WriteString("rblsmtpd: " + ip + " pid " + strconv.Itoa(id) + ": " + reply + "\n")
}
