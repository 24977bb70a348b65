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
	m := newMaker(q.Dir)
	m.log(q.LogUser, q.LogUID)
	m.folder("log/systemd", -1)
	m.file("log/systemd/service.conf", 0o644, -1, units.LogConf(q.LogUser))
	m.folder("env", -1)
	m.home(q.Home)
	m.folder("systemd", -1)
	m.file("systemd/unit", 0o644, -1, "qmail-"+filepath.Base(q.Dir)+"\n")
	m.file("systemd/listen", 0o644, -1, q.Home+"/qmail-queue.socket\n")
	m.file("systemd/service.conf", 0o644, -1, units.QueueConf(q.Account, q.Home))
	m.file("systemd/socket.conf", 0o644, -1, socketConf)
	m.file("run", 0o755, -1, queueRun)
	return m.done()
}

// queueRun starts as root where no systemd does the work: qmail-queued binds
// its socket and then goes on as the owner of the queue.
const queueRun = `#!/bin/sh
exec 2>&1 \
envdir ./env \
qmail-queued
`
