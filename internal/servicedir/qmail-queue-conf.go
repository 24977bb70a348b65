package servicedir

import (
	"errors"
	"io/fs"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"qmail-smtpd/internal/command"
	"qmail-smtpd/internal/control"
	"qmail-smtpd/internal/queue"
)

// QMailQueueConf is the command qmail-queue-conf: it makes what is missing of
// the queue on disk, and a service directory for the queue service.
func QMailQueueConf(args []string) int {
	const name = "qmail-queue-conf"
	if len(args) < 4 || !strings.HasPrefix(args[3], "/") {
		return command.Usage(name, "qmail-queue-conf acct logacct /queue")
	}
	q := Queue{Account: args[1], LogUser: args[2], Dir: args[3], Home: control.Home()}
	for _, word := range []string{q.Account, q.LogUser, q.Home} {
		if code := plainWord(name, word); code != 0 {
			return code
		}
	}
	uid, code := accountUID(name, q.LogUser)
	if code != 0 {
		return code
	}
	q.LogUID = uid
	owners, code := queueOwners(name, q.Account)
	if code != 0 {
		return code
	}
	if err := queue.Create(q.Home, owners); err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			return command.Fatal(name, "unable to create "+path.Path, path.Err)
		}
		return command.Fatal(name, "unable to create "+q.Home+"/queue", err)
	}
	unix.Umask(0o022)
	return report(name, q.Make())
}

// queueOwners finds the owners of the queue's parts: those of qmail where the
// account is qmail's own qmailq, else the account alone. code is 0 where the
// accounts exist.
func queueOwners(name, acct string) (owners queue.Owners, code int) {
	u, err := user.Lookup(acct)
	if err != nil {
		return owners, command.Fatal(name, "unknown account "+acct, nil)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return owners, command.Fatal(name, "unknown account "+acct, nil)
	}
	owners = queue.Owners{Queue: uid, Send: uid, Remote: uid, Group: gid}
	if acct != "qmailq" {
		return owners, 0
	}
	if owners.Send, code = accountUID(name, "qmails"); code != 0 {
		return owners, code
	}
	owners.Remote, code = accountUID(name, "qmailr")
	return owners, code
}
