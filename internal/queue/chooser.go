package queue

import (
	"os"
	"sync"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/ucspi"
)

// The places of the queue below qmail's home directory.
const (
	socketName  = "qmail-queue.socket"
	programName = "bin/qmail-queue"
)

// A Chooser finds the queue that a message goes to. One is made for a process
// and kept, since it holds the open connections to the queue service. It is
// safe for concurrent use.
type Chooser struct {
	home   string
	client *Client
	disk   *Disk

	mu      sync.Mutex
	program os.FileInfo // what programName was when ours was found out
	ours    bool
}

// NewChooser returns a Chooser for the qmail whose home directory is home, an
// absolute path. It touches no file yet.
func NewChooser(home string) *Chooser {
	return &Chooser{home: home, client: NewClient(home), disk: NewDisk(home)}
}

// Choose returns the queue for one connection, whose environment is env:
//
//   - the program that QMAILQUEUE names, where that is set, be it empty;
//   - the queue service, where HOME/qmail-queue.socket is there;
//   - the program HOME/bin/qmail-queue, where it is there and not our own: a
//     qmail that was installed before us;
//   - the queue on disk, written by this process.
//
// It costs one or two stat calls. That a queue does not work shows when a
// message is submitted.
func (c *Chooser) Choose(env *ucspi.Env) Queue {
	if path, ok := env.Lookup("QMAILQUEUE"); ok {
		return &Program{Home: c.home, Path: path, Env: env.Environ()}
	}
	if c.client.present() {
		return c.client
	}
	if c.foreign() {
		return &Program{Home: c.home, Path: programName, Env: env.Environ()}
	}
	return c.disk
}

// foreign tells whether HOME/bin/qmail-queue is there and not our own.
func (c *Chooser) foreign() bool {
	path := c.home + "/" + programName
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.program == nil || !os.SameFile(c.program, info) {
		c.program, c.ours = info, command.Ours(path)
	}
	return !c.ours
}
