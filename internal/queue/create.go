package queue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Owners are the ids that own the parts of a queue. Where one user does it
// all, they are equal.
type Owners struct {
	Queue  int // uid of qmailq, which writes the queue
	Send   int // uid of qmails, which works it off
	Remote int // uid of qmailr, which delivers to other hosts
	Group  int // gid of qmail
}

// Create makes what is missing of the queue HOME/queue, in qmail's layout
// with messages spread over 23 directories; HOME itself must exist. What is
// there already stays as it is, its owners and modes included. It takes the
// right to give files to the owners.
func Create(home string, owners Owners) error {
	queue := home + "/queue"
	known, _ := readLayout(queue)
	split := int(known.split)

	directory := func(split int) func(path string) error {
		return func(path string) error { return makeSplit(path, split) }
	}
	file := func(size int) func(path string) error {
		return func(path string) error { return os.WriteFile(path, make([]byte, size), 0o600) }
	}
	fifo := func(path string) error { return unix.Mkfifo(path, 0o600) }
	for _, entry := range []struct {
		name  string
		mode  fs.FileMode
		owner int
		make  func(path string) error
	}{
		{"", 0o750, owners.Queue, directory(0)},
		{"/pid", 0o700, owners.Queue, directory(0)},
		{"/mess", 0o750, owners.Queue, directory(split)},
		{"/intd", 0o700, owners.Queue, directory(0)},
		{"/todo", 0o750, owners.Queue, directory(0)},
		{"/info", 0o700, owners.Send, directory(split)},
		{"/local", 0o700, owners.Send, directory(split)},
		{"/remote", 0o700, owners.Send, directory(split)},
		{"/bounce", 0o700, owners.Send, directory(0)},
		{"/lock", 0o750, owners.Queue, directory(0)},
		{"/lock/sendmutex", 0o600, owners.Send, file(0)},
		{"/lock/tcpto", 0o644, owners.Remote, file(1024)},
		{"/lock/trigger", 0o622, owners.Send, fifo},
	} {
		if err := create(queue+entry.name, entry.mode, entry.owner, owners.Group, entry.make); err != nil {
			return err
		}
	}
	return nil
}

// makeSplit makes a directory with split numbered ones in it.
func makeSplit(path string, split int) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	for i := range split {
		if err := os.Mkdir(path+"/"+strconv.Itoa(i), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// create makes what is to be at path, unless something is there. It does so
// under another name, so that it is never there without its owner and mode.
func create(path string, mode fs.FileMode, owner, group int, make func(path string) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := path + ".new"
	if err := os.RemoveAll(made); err != nil {
		return err
	}
	if err := make(made); err != nil {
		return err
	}
	err := filepath.WalkDir(made, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, owner, group); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		return err
	}
	return os.Rename(made, path)
}
