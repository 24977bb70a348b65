package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"qmail-smtpd/test/programs"
)

func TestErrText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "no error"},
		{unix.ENOENT, "file does not exist"},
		{unix.EAGAIN, "temporary failure"},
		{unix.EPERM, "permission denied"},
		{unix.EACCES, "access denied"},
		{unix.ENXIO, "device not configured"},
		{unix.EADDRINUSE, "address already used"},
		{unix.ENOSPC, "out of disk space"},
		{unix.EOPNOTSUPP, "operation not supported"},
		{unix.ENOTUNIQ, "unknown error"},
		{unix.Errno(4000), "unknown error"},
		{&fs.PathError{Op: "open", Path: "x", Err: unix.ENOTDIR}, "not a directory"},
		{fmt.Errorf("reading: %w", os.NewSyscallError("read", unix.EISDIR)), "is a directory"},
		{fs.ErrNotExist, "file does not exist"},
		{fs.ErrExist, "file already exists"},
		{fs.ErrPermission, "access denied"},
		{errors.New("bad format"), "bad format"},
	} {
		if got := ErrText(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// Every text stands in the originals word for word.
func TestErrTextSpelling(t *testing.T) {
	original, err := os.ReadFile(filepath.Join(programs.Originals(t), "supervise"))
	if err != nil {
		t.Fatal(err)
	}
	for errno, text := range errTexts {
		if !bytes.Contains(original, []byte("\x00"+text+"\x00")) {
			t.Errorf("%v: %q is not in the original", errno, text)
		}
	}
}

func TestMessages(t *testing.T) {
	message := ours(t) + "/message"
	for _, c := range []struct {
		kind, errno string
		want        result
	}{
		{"usage", "", result{stderr: "message: usage: message kind errno\n", exit: 100}},
		{"fatal", "2", result{stderr: "message: fatal: unable to x: file does not exist\n", exit: 111}},
		{"fatal", "", result{stderr: "message: fatal: unable to x\n", exit: 111}},
		{"permanent", "13", result{stderr: "message: fatal: unable to x: access denied\n", exit: 100}},
		{"warning", "11", result{stderr: "message: warning: unable to x: temporary failure\n"}},
		{"warning", "", result{stderr: "message: warning: unable to x\n"}},
	} {
		if got := run(t, "", message, c.kind, c.errno); got != c.want {
			t.Errorf("%s %s: %+v", c.kind, c.errno, got)
		}
	}
}
