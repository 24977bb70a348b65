package svcompat

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
)

// Svstat prints the state of services, one line each.
func Svstat(args []string) int {
	var out []byte
	for _, dir := range args[1:] {
		out = append(out, dir...)
		out = append(out, ": "...)
		out = appendState(out, dir)
		out = append(out, '\n')
	}
	os.Stdout.Write(out)
	return 0
}

// appendState appends what svstat says of the service directory dir. It does
// not go there, which would take two more system calls.
func appendState(b []byte, dir string) []byte {
	if dir == "" {
		return appendFailure(b, "unable to chdir", unix.ENOENT)
	}
	normallyUp, err := isNormallyUp(dir)
	if err != nil {
		return appendFailureIn(b, dir, "unable to stat down", err)
	}
	ok, err := openEnd(dir+"/supervise/ok", unix.O_WRONLY)
	if err == unix.ENXIO {
		return append(b, "supervise not running"...)
	}
	if err != nil {
		return appendFailureIn(b, dir, "unable to open supervise/ok", err)
	}
	unix.Close(ok)
	status, err := openEnd(dir+"/supervise/status", unix.O_RDONLY)
	if err != nil {
		return appendFailure(b, "unable to open supervise/status", err)
	}
	var content [StatusSize]byte
	n, err := unix.Read(status, content[:])
	unix.Close(status)
	var state Status
	if err == nil {
		state, err = ParseStatus(content[:n])
	}
	if err != nil {
		return appendFailure(b, "unable to read supervise/status", err)
	}
	return state.AppendText(b, time.Now(), normallyUp)
}

// appendFailureIn is appendFailure, unless the service directory itself is
// what is wrong.
func appendFailureIn(b []byte, dir, what string, err error) []byte {
	var info unix.Stat_t
	if e := unix.Stat(dir+"/.", &info); e != nil {
		what, err = "unable to chdir", e
	}
	return appendFailure(b, what, err)
}

func appendFailure(b []byte, what string, err error) []byte {
	b = append(b, what...)
	b = append(b, ": "...)
	return append(b, command.ErrText(err)...)
}
