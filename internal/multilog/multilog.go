// Package multilog is the log side: multilog, which distributes the lines of
// its input over automatically rotated log directories, and its companions
// tai64n and tai64nlocal, which make and read the labels of log lines.
//
// It follows daemontools 0.76 byte for byte: the script, the files of a log
// directory with their modes, the recovery, the messages. Where standard input
// is a pipe it goes further, and takes a line out of the pipe only once the
// line is written (see pipeInput).
//
// Once it has begun to read, no failure may end it: it waits and tries again.
// It knows no network and no systemd.
package multilog

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

const name = "multilog"

// Main is the command multilog. It returns 0 at the end of its input or after
// SIGTERM, and command.ExitTemporary where a log directory or a file of its
// script cannot be opened.
func Main(args []string) int {
	unix.Umask(0o022)
	signals, err := catchSignals()
	if err != nil {
		return command.Fatal(name, "unable to catch signals", err)
	}
	var words []string
	if len(args) > 0 {
		words = args[1:]
	}
	script, err := open(parse(words))
	if err != nil {
		var failed fatal
		errors.As(err, &failed)
		return command.Fatal(name, failed.what, failed.err)
	}
	in, err := newInput(unix.Stdin, signals.fd)
	if err != nil {
		return command.Fatal(name, "unable to watch standard input", err)
	}
	script.watchAges(func() { signals.raise(&signals.aged) })
	run(script, in, signals)
	script.close()
	return 0
}

// run reads lines and writes them until the end of the input or, after
// SIGTERM, until the end of the line in hand.
func run(script *script, in input, signals *signals) {
	for {
		if signals.alarm.Swap(false) {
			script.rotate()
		}
		if signals.aged.Swap(false) {
			script.rotateOld()
		}
		begun := len(in.data()) > 0
		stopping := signals.term.Load()
		if stopping && !begun && !script.midLine {
			return
		}
		err := in.more(stopping)
		if err == errSignal {
			signals.clear()
			continue
		}
		script.arrived(begun)
		data := in.data()
		if err == io.EOF {
			if begun || script.midLine {
				script.process(append(data, '\n'))
				in.take(len(data))
			}
			return
		}
		if stopping {
			if end := bytes.IndexByte(data, '\n') + 1; end > 0 {
				script.process(data[:end])
				in.take(end)
				return
			}
		}
		end := bytes.LastIndexByte(data, '\n') + 1
		if end == 0 && script.midLine || len(data)-end >= lineLimit && !in.mayWait(end) {
			end = len(data)
		}
		if end > 0 {
			script.process(data[:end])
			in.take(end)
		}
	}
}
