package servicedir

import (
	"path/filepath"

	"qmail-smtpd/units"
)

// Queue describes the service directory of the queue service.
type Queue struct {
	Dir     string // absolute; must not exist
	Account string // of qmail-queued, usually qmailq
	LogUser string // of multilog, usually qmaill
	LogUID  int
	Home    string // qmail's home, usually /var/qmail
}

// Make makes the service directory. An error is a *StepError; what was made
// before it stays.
func (q Queue) Make() error {
	entries := append(logEntries(q.LogUser, q.LogUID), folder("env"))
	entries = append(entries, homeEntries(q.Home)...)
	return makeDir(q.Dir, append(entries,
		folder("systemd"),
		file("systemd/unit", 0o644, "qmail-"+filepath.Base(q.Dir)+"\n"),
		file("systemd/listen", 0o644, q.Home+"/qmail-queue.socket\n"),
		file("systemd/service.conf", 0o644, units.QueueConf(q.Account, q.Home)),
		file("systemd/socket.conf", 0o644, socketConf),
		file("run", 0o755, queueRun),
	))
}

// queueRun starts as root where no systemd does the work: qmail-queued binds
// its socket and then goes on as the owner of the queue.
const queueRun = `#!/bin/sh
exec 2>&1 \
envdir ./env \
qmail-queued
`
